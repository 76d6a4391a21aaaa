package dev.graft.peft.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GapClosedTest {
    @TempDir
    Path folder;

    /// The rounded figures of the paper's table for 13B, of which it says 91.1 %: AlpacaFarm, GSM, ToxiGen, TruthfulQA twice.
    @Test
    void thePapersTableIsCloseToWhatItSaysOfIt() {
        GapClosed gap = new GapClosed(List.of(set(2.1, 83.4, 87.3), set(6.6, 26.4, 32.4), set(70.4, 0.1, 0.0), set(38.6, 57.4, 61.6),
                set(49.1, 82.0, 80.4)));
        assertThat(gap.sets().get(1).closed()).isCloseTo(19.8 / 25.8, within(1e-12));
        assertThat(gap.sets().get(2).closed()).as("less is better").isCloseTo(0.99858, within(1e-5));
        assertThat(gap.mean()).isCloseTo(0.911, within(0.015));
    }

    private static GapClosed.Set set(double base, double proxy, double tuned) {
        return new GapClosed.Set("set", "accuracy", base, proxy, tuned, OptionalDouble.empty());
    }

    private Path results(String name, String task, Map<String, Object> figures, int first) throws IOException {
        Path results = Files.createDirectories(folder.resolve(name));
        Map<String, Object> summary = new LinkedHashMap<>(Map.of("task", task, "data", Map.of("sha256", "ab", "first", first)));
        summary.putAll(figures);
        Json.write(results.resolve(task.replace('/', '-') + ".summary.json"), summary);
        return results;
    }

    @Test
    void setsOfAllThreeFoldersAreCompared() throws IOException {
        Path base = results("base", "proxy/humaneval", Map.of("metric", "pass_at_10", "pass_at_10", 0.25, "pass_at_1", 0.1), 4);
        Path proxy = results("proxy", "proxy/humaneval", Map.of("metric", "pass_at_10", "pass_at_10", 0.5, "pass_at_1", 0.1), 4);
        Path tuned = results("tuned", "proxy/humaneval", Map.of("metric", "pass_at_10", "pass_at_10", 0.75, "pass_at_1", 0.1), 4);
        results("base", "AddSub", Map.of("accuracy", 0.1), 4);
        results("proxy", "AddSub", Map.of("accuracy", 0.4), 4);
        results("tuned", "AddSub", Map.of("accuracy", 0.3), 4);
        results("tuned", "boolq", Map.of("accuracy", 0.3), 4);
        GapClosed gap = GapClosed.read(base, proxy, tuned);
        assertThat(gap.sets()).extracting(GapClosed.Set::task).containsExactly("AddSub", "proxy/humaneval");
        assertThat(gap.sets().get(1).closed()).isEqualTo(0.5);
        assertThat(gap.mean()).isCloseTo((1.5 + 0.5) / 2, within(1e-12));
    }

    @Test
    void whatDoesNotCompareIsNamed() throws IOException {
        Path base = results("base", "AddSub", Map.of("accuracy", 0.5), 4);
        Path proxy = results("proxy", "AddSub", Map.of("accuracy", 0.4), 4);
        Path tuned = results("tuned", "AddSub", Map.of("accuracy", 0.5), 4);
        assertThatThrownBy(() -> GapClosed.read(base, proxy, tuned).mean()).isInstanceOf(DataException.class)
                .hasMessage(
                        "AddSub: accuracy is 0.5 of the base and of the tuned model alike, so there is no gap to close; leave the set out");
        Path less = results("less", "AddSub", Map.of("accuracy", 0.5), 3);
        assertThatThrownBy(() -> GapClosed.read(base, proxy, less)).hasMessageContaining("AddSub.summary.json: data in " + less)
                .hasMessageContaining("first=3");
        Path other = results("other", "boolq", Map.of("accuracy", 0.5), 3);
        assertThatThrownBy(() -> GapClosed.read(base, other, tuned)).hasMessageContaining("no set is in all three folders")
                .hasMessageContaining("boolq.summary.json");
        assertThatThrownBy(() -> GapClosed.read(base, folder.resolve("none"), tuned)).hasMessageContaining("no folder of results");
        Path samples = results("samples", "AddSub", Map.of(), 4);
        assertThatThrownBy(() -> GapClosed.read(samples, proxy, tuned)).hasMessageContaining("asked and not judged");
        assertThatThrownBy(() -> GapClosed.read(base, samples, tuned)).hasMessageContaining("has no 'accuracy'");
    }
}
