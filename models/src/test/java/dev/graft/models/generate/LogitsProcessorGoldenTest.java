package dev.graft.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.Golden;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.Entry;
import dev.graft.tensor.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Each processor on one matrix of scores, against transformers 5.18.
class LogitsProcessorGoldenTest {
    private static final Map<String, LogitsProcessor> PROCESSORS = Map.of("min_p0.1", new MinP(0.1), "no_repeat_ngram3",
            new NoRepeatNgram(3), "repetition1.3",
            new RepetitionPenalty(1.3), "temperature0.7", new Temperature(0.7), "top_k5", new TopK(5), "top_p0.75", new TopP(0.75));

    @Test
    void processorsAgreeWithTheReference() {
        try (Checkpoint golden = Checkpoint.open(Golden.path("sampling/warpers.safetensors"))) {
            assertThat(golden.entries().keySet()).containsAll(PROCESSORS.keySet()).hasSize(PROCESSORS.size() + 2);
            Shape shape = golden.require("logits").shape();
            MemorySegment history = golden.require("history").bytes();
            int historyLength = golden.require("history").shape().dim(-1);
            PROCESSORS.forEach((name, processor) -> {
                int changed = 0;
                for (int row = 0; row < shape.dim(0); row++) {
                    int[] ids = new int[historyLength];
                    for (int i = 0; i < historyLength; i++) {
                        ids[i] = (int) history.get(ValueLayout.JAVA_LONG_UNALIGNED, 8L * (row * historyLength + i));
                    }
                    float[] scores = row(golden.require("logits"), row);
                    float[] before = scores.clone();
                    processor.process(scores, ids, 0);
                    float[] expected = row(golden.require(name), row);
                    for (int i = 0; i < expected.length; i++) {
                        if (Float.isInfinite(expected[i])) {
                            assertThat(scores[i]).as("%s row %d token %d", name, row, i).isEqualTo(expected[i]);
                        } else {
                            assertThat(scores[i]).as("%s row %d token %d", name, row, i).isCloseTo(expected[i], within(1e-5f));
                        }
                    }
                    changed += Arrays.equals(scores, before) ? 0 : 1;
                }
                assertThat(changed).as(name + " does something").isPositive();
            });
        }
    }

    private static float[] row(Entry matrix, int row) {
        int width = matrix.shape().dim(-1);
        return matrix.bytes().asSlice(4L * row * width, 4L * width).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
    }
}
