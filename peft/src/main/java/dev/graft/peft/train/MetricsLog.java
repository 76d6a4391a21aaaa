package dev.graft.peft.train;

import dev.graft.models.io.AtomicFile;
import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// Writes one JSON object per line, for every step and every validation, as they happen.
///
/// ```
/// {"step": 1, "epoch": 0.01, "loss": 2.31, "learning_rate": 3e-05, "gradient_norm": 0.8, "predicted_tokens": 812, "tokens": 1024, "seconds": 0.4}
/// {"step": 200, "validation_loss": 1.97, "validation_perplexity": 7.17, "best": true, "seconds": 3.1}
/// ```
/// A resumed run cuts off what a killed one wrote after its last checkpoint, so every step stands there once.
public final class MetricsLog implements TrainListener {
    private final Path file;
    private Writer writer;

    public MetricsLog(Path file) {
        this.file = file;
    }

    /// What such a file holds.
    ///
    /// @param steps step and loss
    /// @param validations step and validation loss
    record Losses(List<double[]> steps, List<double[]> validations) {
        static Losses read(Path file) {
            Losses losses = new Losses(new ArrayList<>(), new ArrayList<>());
            for (String line : lines(file)) {
                var json = Json.parse(line, file.toString());
                boolean validated = json.has("validation_loss");
                (validated ? losses.validations : losses.steps)
                        .add(new double[] {json.requireLong("step"), json.requireDouble(validated ? "validation_loss" : "loss")});
            }
            return losses;
        }
    }

    @Override
    public void onStart(long step, long steps) {
        List<String> kept = step == 0 || !Files.exists(file) ? List.of() : lines(file).stream().filter(line -> upTo(step, line)).toList();
        byte[] text = kept.stream().map(line -> line + "\n").collect(Collectors.joining()).getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(file, channel -> {
            ByteBuffer bytes = ByteBuffer.wrap(text);
            while (bytes.hasRemaining()) channel.write(bytes);
        });
        try {
            writer = Files.newBufferedWriter(file, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be written: " + e.getMessage(), e);
        }
    }

    /// Whether a line belongs to steps a run has behind it; the last one may have been cut in the middle.
    private boolean upTo(long step, String line) {
        try {
            return Json.parse(line, file.toString()).requireLong("step") <= step;
        } catch (CheckpointException e) {
            return false;
        }
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be read: " + e.getMessage(), e);
        }
    }

    @Override
    public void onStep(StepReport r) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", r.step());
        line.put("epoch", r.epoch());
        line.put("loss", r.loss());
        line.put("learning_rate", r.learningRate());
        line.put("gradient_norm", r.gradientNorm());
        line.put("predicted_tokens", r.predicted());
        line.put("tokens", r.tokens());
        line.put("seconds", r.seconds());
        write(line);
    }

    @Override
    public void onValidation(ValidationReport r) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", r.step());
        line.put("validation_loss", r.loss());
        line.put("validation_perplexity", r.perplexity());
        line.put("best", r.isBest());
        line.put("seconds", r.seconds());
        write(line);
    }

    private void write(Map<String, Object> line) {
        try {
            writer.write(Json.line(line) + "\n");
            writer.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be written: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        try {
            if (writer != null) writer.close();
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be closed: " + e.getMessage(), e);
        }
    }
}
