package dev.graft.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Each processor on one matrix of scores, against transformers 5.18.
class LogitsProcessorGoldenTest {
    private static final Map<String, LogitsProcessor> PROCESSORS = Map.of("min_p0.1", new MinP(0.1), "no_repeat_ngram3",
            new NoRepeatNgram(3), "repetition1.3",
            new RepetitionPenalty(1.3), "temperature0.7", new Temperature(0.7), "top_k5", new TopK(5), "top_p0.75", new TopP(0.75));

    @Test
    void processorsAgreeWithTheReference() throws Exception {
        ByteBuffer file;
        try (InputStream stream = getClass().getResourceAsStream("/golden/sampling/warpers.safetensors")) {
            file = ByteBuffer.wrap(stream.readAllBytes()).order(ByteOrder.LITTLE_ENDIAN);
        }
        int headerLength = Math.toIntExact(file.getLong());
        JsonNode header = new ObjectMapper().readTree(Arrays.copyOfRange(file.array(), 8, 8 + headerLength));
        ByteBuffer data = file.slice(8 + headerLength, file.capacity() - 8 - headerLength).order(ByteOrder.LITTLE_ENDIAN);

        int rows = header.at("/logits/shape/0").asInt();
        int width = header.at("/logits/shape/1").asInt();
        int historyLength = header.at("/history/shape/1").asInt();
        assertThat(header.properties().stream().map(Map.Entry::getKey)).containsAll(PROCESSORS.keySet()).hasSize(PROCESSORS.size() + 2);
        PROCESSORS.forEach((name, processor) -> {
            int changed = 0;
            for (int row = 0; row < rows; row++) {
                int[] history = new int[historyLength];
                for (int i = 0; i < historyLength; i++) {
                    history[i] = (int) data.getLong(header.at("/history/data_offsets/0").asInt() + 8 * (row * historyLength + i));
                }
                float[] scores = row(data, header.at("/logits/data_offsets/0").asInt(), row, width);
                float[] before = scores.clone();
                processor.process(scores, history, 0);
                float[] expected = row(data, header.path(name).at("/data_offsets/0").asInt(), row, width);
                for (int i = 0; i < width; i++) {
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

    private static float[] row(ByteBuffer data, int offset, int row, int width) {
        float[] values = new float[width];
        for (int i = 0; i < width; i++) {
            values[i] = data.getFloat(offset + 4 * (row * width + i));
        }
        return values;
    }
}
