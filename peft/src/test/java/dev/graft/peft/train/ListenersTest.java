package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ListenersTest {
    private static final TrainConfig CONFIG = TrainConfig
            .with(c -> c.steps(9).batchSize(4).evaluateEvery(3).saveEvery(2).learningRate(0.01));

    @TempDir
    Path folder;

    private void run(boolean resume, long stopAfter, TrainListener... listeners) {
        try (var _ = Scope.open(); ToyLm model = new ToyLm(DType.F32, 0)) {
            Trainer trainer = new Trainer(CONFIG, model.loss(), model.weights()).saving(model, folder);
            for (TrainListener l : listeners) trainer.listener(l);
            trainer.listener(new TrainListener() {
                @Override
                public void onStep(StepReport report) {
                    if (report.step() == stopAfter) trainer.stop();
                }
            });
            if (resume) trainer.resume(Texts.of(13, 1), Texts.of(3, 2));
            else trainer.fit(Texts.of(13, 1), Texts.of(3, 2));
        }
    }

    private List<JsonObject> metrics() throws IOException {
        return Files.readAllLines(folder.resolve("metrics.jsonl")).stream().map(line -> Json.parse(line, "line")).toList();
    }

    @Test
    void metricsHaveEveryStepOnceThoughTheRunWasKilled() throws IOException {
        Path file = folder.resolve("metrics.jsonl");
        run(false, 5, new MetricsLog(file));
        // as if killed after step 7: two steps and half a line beyond the checkpoint of step 5
        Files.writeString(file, "{\"step\": 6, \"loss\": 1}\n{\"step\": 7, \"loss\": 1}\n{\"step\": 8, \"lo", StandardOpenOption.APPEND);
        run(true, -1, new MetricsLog(file));
        List<Long> steps = new ArrayList<>();
        List<Long> validations = new ArrayList<>();
        for (JsonObject line : metrics()) (line.has("validation_loss") ? validations : steps).add(line.requireLong("step"));
        assertThat(steps).containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L);
        assertThat(validations).containsExactly(3L, 6L, 9L);
        assertThat(metrics().getFirst().keys()).containsExactly("step", "epoch", "loss", "learning_rate", "gradient_norm",
                "predicted_tokens", "tokens", "seconds");
    }

    @Test
    void eventFilesHoldWhatTheMetricsHold() throws IOException {
        run(false, 5, new MetricsLog(folder.resolve("metrics.jsonl")), new TensorBoard(folder.resolve("tensorboard")));
        Map<Long, Map<String, Float>> scalars = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder.resolve("tensorboard"))) {
            List<Path> all = files.toList();
            assertThat(all).hasSize(1);
            assertThat(all.getFirst().getFileName().toString()).startsWith("events.out.tfevents.");
            read(Files.readAllBytes(all.getFirst()), scalars);
        }
        for (JsonObject line : metrics()) {
            Map<String, Float> events = scalars.get(line.requireLong("step"));
            if (line.has("validation_loss")) {
                assertThat(events.get("validation/loss")).isEqualTo((float) line.requireDouble("validation_loss"));
            } else {
                assertThat(events.get("train/loss")).isEqualTo((float) line.requireDouble("loss"));
                assertThat(events.get("train/learning_rate")).isEqualTo((float) line.requireDouble("learning_rate"));
                assertThat(events.get("train/gradient_norm")).isEqualTo((float) line.requireDouble("gradient_norm"));
            }
        }
        assertThat(scalars).hasSize(5);
    }

    /// Reads TFRecords of Events, checking the framing; an independent reader, field by field as protocol buffers are defined.
    private static void read(byte[] bytes, Map<Long, Map<String, Float>> scalars) {
        ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        List<String> versions = new ArrayList<>();
        while (file.hasRemaining()) {
            int start = file.position();
            int length = Math.toIntExact(file.getLong());
            assertThat(file.getInt()).isEqualTo(maskedCrc(bytes, start, 8));
            int from = file.position();
            file.position(from + length);
            assertThat(file.getInt()).isEqualTo(maskedCrc(bytes, from, length));
            long[] step = {0};
            ByteBuffer event = file.slice(from, length).order(ByteOrder.LITTLE_ENDIAN);
            while (event.hasRemaining()) {
                long key = varint(event);
                switch ((int) key) {
                    case 1 << 3 | 1 -> assertThat(event.getDouble()).isCloseTo(System.currentTimeMillis() / 1e3, within(600.0));
                    case 2 << 3 -> step[0] = varint(event);
                    case 3 << 3 | 2 -> versions.add(StandardCharsets.UTF_8.decode(sized(event)).toString());
                    case 5 << 3 | 2 -> summary(sized(event), scalars.computeIfAbsent(step[0], _ -> new TreeMap<>()));
                    case 7 << 3 | 2 -> {
                        ByteBuffer log = sized(event);
                        assertThat(varint(log)).isEqualTo(1 << 3);
                        assertThat(varint(log)).as("started").isEqualTo(1);
                        assertThat(step[0]).isEqualTo(1);
                    }
                    default -> throw new AssertionError("field " + (key >> 3));
                }
            }
        }
        assertThat(versions).containsExactly("brain.Event:2");
    }

    private static void summary(ByteBuffer summary, Map<String, Float> into) {
        while (summary.hasRemaining()) {
            assertThat(varint(summary)).isEqualTo(1 << 3 | 2);
            ByteBuffer value = sized(summary);
            assertThat(varint(value)).isEqualTo(1 << 3 | 2);
            String tag = StandardCharsets.UTF_8.decode(sized(value)).toString();
            assertThat(varint(value)).isEqualTo(2 << 3 | 5);
            into.put(tag, value.getFloat());
        }
    }

    private static ByteBuffer sized(ByteBuffer from) {
        int length = Math.toIntExact(varint(from));
        ByteBuffer part = from.slice(from.position(), length).order(ByteOrder.LITTLE_ENDIAN);
        from.position(from.position() + length);
        return part;
    }

    private static long varint(ByteBuffer from) {
        long value = 0;
        for (int shift = 0;; shift += 7) {
            byte b = from.get();
            value |= (long) (b & 0x7F) << shift;
            if (b >= 0) return value;
        }
    }

    /// CRC-32C bit by bit (polynomial 0x1EDC6F41, reflected), masked as TFRecord says.
    private static int maskedCrc(byte[] bytes, int from, int length) {
        int crc = ~0;
        for (int i = from; i < from + length; i++) {
            crc ^= bytes[i] & 0xFF;
            for (int bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (0x82F63B78 & -(crc & 1));
        }
        crc = ~crc;
        return (crc >>> 15 | crc << 17) + 0xa282ead8;
    }

    @Test
    void lossCurveIsAPictureWithLines() throws IOException {
        Path file = folder.resolve("metrics.jsonl");
        run(false, -1, new MetricsLog(file), new LossCurve(file, folder.resolve("loss.png")));
        BufferedImage image = ImageIO.read(folder.resolve("loss.png").toFile());
        assertThat(image.getWidth()).isEqualTo(1000);
        assertThat(image.getHeight()).isEqualTo(600);
        int red = 0;
        int blue = 0;
        for (int x = 0; x < 1000; x++) {
            for (int y = 0; y < 600; y++) {
                int rgb = image.getRGB(x, y) & 0xFFFFFF;
                if (rgb == 0xC0392B) red++;
                if (rgb == 0x1F4E9C) blue++;
            }
        }
        assertThat(red).as("validation").isGreaterThan(100);
        assertThat(blue).as("running mean").isGreaterThan(100);
    }

    @Test
    void whereThereIsNoTerminalProgressIsLines() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        run(false, 4, ProgressDisplay.lines(new PrintStream(out), Duration.ofDays(1)));
        run(true, -1, ProgressDisplay.lines(new PrintStream(out), Duration.ZERO));
        List<String> lines = out.toString().lines().toList();
        assertThat(lines.get(0))
                .matches("step 1/9  epoch 0\\.25  loss \\d\\.\\d{4}  rate \\S+  gradient \\S+  [\\d,]+ tokens/s  left 0:\\d\\d:\\d\\d");
        assertThat(lines.get(1)).matches("step 3  validation loss \\d\\.\\d{4}  perplexity \\S+  best so far");
        assertThat(lines.get(2)).isEqualTo("resumed after step 4 of 9");
        assertThat(lines.stream().filter(l -> l.matches("step \\d/9 .*"))).hasSize(6);
        assertThat(lines.getLast()).startsWith("step 9  validation loss");
    }
}
