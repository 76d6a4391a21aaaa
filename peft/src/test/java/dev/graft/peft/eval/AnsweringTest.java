package dev.graft.peft.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.generate.FinishReason;
import dev.graft.models.generate.Generation;
import dev.graft.models.generate.GenerationException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/// Prompts that a source of texts answers, or does not.
class AnsweringTest {
    private static final List<int[]> PROMPTS = List.of(new int[1], new int[4], new int[3], new int[2]);

    private static Generation written(int index) {
        return new Generation(new int[] {index}, FinishReason.LENGTH, 0, Optional.of("" + index), Optional.empty());
    }

    private static Response response(int index, Generation written) {
        return new Response(index, written.text().orElseThrow(), new Task.Verdict("", true), 1, 1);
    }

    @Test
    void whatItsNeighboursWereAnsweredIsKeptWhenOneFails() {
        List<Integer> kept = new ArrayList<>();
        EvalListener listener = (batch, _, _) -> batch.forEach(r -> kept.add(r.index()));
        Answering.Writer broken = (_, indices) -> Arrays.stream(indices).mapToObj(i -> i == 2
                ? new Generation(new int[0], FinishReason.FAILED, 0, Optional.of(""), Optional.of("the line is dead"))
                : written(i)).toList();
        assertThatThrownBy(() -> new Answering(3, listener, List.of()).of(PROMPTS, broken, AnsweringTest::response))
                .isInstanceOf(GenerationException.class).hasMessage("[generation] record 2 cannot be answered: the line is dead");
        assertThat(kept).containsExactly(1, 3);
        List<Response> earlier = kept.stream().map(i -> response(i, written(i))).toList();
        Answering.Answered rest = new Answering(3, listener, earlier).of(PROMPTS,
                (_, indices) -> Arrays.stream(indices).mapToObj(AnsweringTest::written).toList(), AnsweringTest::response);
        assertThat(rest.responses()).extracting(Response::index).containsExactly(0, 1, 2, 3);
        assertThat(kept).as("each once").containsExactly(1, 3, 2, 0);
    }
}
