package dev.graft.models.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/// A model whose scores are a function of the ids so far. Its session checks that it is used as [Session] says.
final class ScriptedModel implements StepModel {
    private final Function<int[], float[]> scores;
    int mostRows;

    ScriptedModel(Function<int[], float[]> scores) {
        this.scores = scores;
    }

    @Override
    public Session open(List<int[]> prompts, int maxNewTokens) {
        int longest = prompts.stream().mapToInt(prompt -> prompt.length).max().orElseThrow() + maxNewTokens;
        return new Session() {
            private List<int[]> rows = prompts;
            private boolean closed;

            @Override
            public float[][] logits() {
                check(!closed);
                mostRows = Math.max(mostRows, rows.size());
                return rows.stream().map(scores).toArray(float[][]::new);
            }

            @Override
            public void advance(int[] ids) {
                check(!closed && ids.length == rows.size());
                List<int[]> grown = new ArrayList<>();
                for (int i = 0; i < ids.length; i++) {
                    int[] row = Arrays.copyOf(rows.get(i), rows.get(i).length + 1);
                    row[row.length - 1] = ids[i];
                    check(row.length <= longest);
                    grown.add(row);
                }
                rows = grown;
            }

            @Override
            public void reorder(int[] order) {
                check(!closed && order.length > 0);
                rows = Arrays.stream(order).mapToObj(rows::get).toList();
            }

            @Override
            public void close() {
                closed = true;
            }
        };
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError("the session is not used as its contract says");
        }
    }
}
