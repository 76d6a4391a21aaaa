package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `kill -9` in the middle of `graft tune`, then `--resume`.
class KilledTuneTest {
    @TempDir
    Path folder;
    private Path model;
    private Path data;

    @BeforeEach
    void makeModel() throws IOException {
        model = TinyModel.model(folder.resolve("model"));
        data = TinyModel.records(folder.resolve("records.jsonl"));
    }

    private Process tune(Path output) throws IOException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules",
                "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        command.addAll(List.of("tune", "--model", model.toString(), "--data", data.toString(), "--output", output.toString(), "--template",
                "short",
                "--cutoff-len", "128", "--method", "lora", "--lora-dropout", "0.1", "--steps", "30", "--batch-size", "4",
                "--micro-batch-size", "2",
                "--learning-rate", "0.01", "--validation-size", "5", "--evaluate-every", "4", "--save-every", "3", "--keep-checkpoints",
                "1", "--resume"));
        return new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(folder.resolve("said.txt").toFile()).start();
    }

    private void toTheEnd(Path output) throws IOException, InterruptedException {
        assertThat(tune(output).waitFor()).as(() -> said()).isZero();
    }

    private String said() {
        try {
            return Files.readString(folder.resolve("said.txt"));
        } catch (IOException e) {
            return e.toString();
        }
    }

    private static int lines(Path file) throws IOException {
        return Files.exists(file) ? Files.readAllLines(file).size() : 0;
    }

    @Test
    void theResumedRunEndsWithTheSameAdapter() throws IOException, InterruptedException {
        Path whole = folder.resolve("whole");
        toTheEnd(whole);
        Path killed = folder.resolve("killed");
        Path metrics = killed.resolve("metrics.jsonl");
        int[] killAfter = {2, 13, 26}; // lines of metrics: before the first checkpoint, and in two later lives
        for (int lines : killAfter) {
            Process child = tune(killed);
            while (child.isAlive() && lines(metrics) < lines) TimeUnit.MILLISECONDS.sleep(1);
            child.toHandle().destroyForcibly();
            assertThat(child.waitFor()).as(() -> "killed in time: " + said()).isEqualTo(128 + 9);
        }
        toTheEnd(killed);
        for (String file : List.of("adapter_model.safetensors", "adapter_config.json")) {
            assertThat(killed.resolve(file)).hasSameBinaryContentAs(whole.resolve(file));
        }
        assertThat(Files.readAllLines(metrics).stream().map(l -> l.replaceAll("\"seconds\":[^}]*", "")).toList()).isEqualTo(
                Files.readAllLines(whole.resolve("metrics.jsonl")).stream().map(l -> l.replaceAll("\"seconds\":[^}]*", "")).toList());
    }
}
