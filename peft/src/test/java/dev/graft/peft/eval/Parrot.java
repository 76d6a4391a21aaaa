package dev.graft.peft.eval;

import dev.graft.models.generate.Session;
import dev.graft.models.generate.StepModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/// A model that answers what stands in brackets in the question, then a heading and nonsense, then ends; without brackets, "none".
final class Parrot implements StepModel {
    private static final Letters LETTERS = new Letters();
    int asked;

    @Override
    public Session open(List<int[]> prompts, int maxNewTokens) {
        asked += prompts.size();
        return new Rows(prompts, Parrot::next);
    }

    private static float[] next(int[] ids) {
        String text = LETTERS.decode(ids, true);
        int open = text.indexOf('[');
        String said = open < 0 ? "none" : text.substring(open + 1, text.indexOf(']'));
        String answer = said + "\n### Response:9 A";
        String soFar = text.substring(text.indexOf("### Response:\n") + "### Response:\n".length()).stripLeading();
        float[] scores = new float[LETTERS.vocabSize()];
        boolean going = soFar.length() < answer.length() && answer.startsWith(soFar);
        scores[going ? LETTERS.encode(answer, false)[soFar.length()] : Letters.END] = 20;
        return scores;
    }

    /// Rows whose next scores are a function of their ids.
    static final class Rows implements Session {
        private final Function<int[], float[]> scores;
        private List<int[]> rows;

        Rows(List<int[]> prompts, Function<int[], float[]> scores) {
            this.rows = prompts;
            this.scores = scores;
        }

        /// The scores are a function of what was written after the one prompt there is.
        static Rows after(List<int[]> prompts, Function<String, float[]> scores) {
            int prompt = prompts.getFirst().length;
            return new Rows(prompts, ids -> scores.apply(LETTERS.decode(Arrays.copyOfRange(ids, prompt, ids.length), true)));
        }

        @Override
        public float[][] logits() {
            return rows.stream().map(scores).toArray(float[][]::new);
        }

        @Override
        public void advance(int[] ids) {
            List<int[]> grown = new ArrayList<>();
            for (int i = 0; i < ids.length; i++) {
                int[] row = Arrays.copyOf(rows.get(i), rows.get(i).length + 1);
                row[row.length - 1] = ids[i];
                grown.add(row);
            }
            rows = grown;
        }

        @Override
        public void reorder(int[] order) {
            rows = Arrays.stream(order).mapToObj(rows::get).toList();
        }

        @Override
        public void close() {
        }
    }
}
