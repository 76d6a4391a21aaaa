package dev.graft.peft.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/// Writes event files for TensorBoard (`tensorboard --logdir <folder>`), a new one each time a run starts or is resumed.
public final class TensorBoard implements TrainListener {
    private final Path folder;
    private EventFile events;

    public TensorBoard(Path folder) {
        this.folder = folder;
    }

    private interface Writing {
        void run() throws IOException;
    }

    private void write(Writing writing) {
        try {
            writing.run();
        } catch (IOException e) {
            throw new UncheckedIOException("TensorBoard's events cannot be written to " + folder + ": " + e.getMessage(), e);
        }
    }

    @Override
    public void onStart(long step, long steps) {
        write(() -> {
            Files.createDirectories(folder);
            long now = System.currentTimeMillis() / 1000;
            events = new EventFile(folder.resolve("events.out.tfevents.%d.graft.%d".formatted(now, ProcessHandle.current().pid())),
                    step + 1);
        });
    }

    @Override
    public void onStep(StepReport r) {
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("train/loss", r.loss());
        values.put("train/learning_rate", r.learningRate());
        values.put("train/gradient_norm", r.gradientNorm());
        values.put("train/tokens_per_second", r.tokensPerSecond());
        values.put("train/epoch", r.epoch());
        write(() -> events.scalars(r.step(), values));
    }

    @Override
    public void onValidation(ValidationReport r) {
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("validation/loss", r.loss());
        values.put("validation/perplexity", r.perplexity());
        write(() -> events.scalars(r.step(), values));
    }

    @Override
    public void close() {
        if (events != null) write(events::close);
    }
}
