package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.SharedFolder;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvalTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @TempDir
    Path folder;

    private int eval(String... args) {
        List<String> all = new ArrayList<>(List.of("eval", "--output", folder.resolve("out").toString()));
        all.addAll(List.of(args));
        return Main.execute(Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err)), all.toArray(String[]::new));
    }

    @Test
    void aRealModelIsAskedAndItsResultsWritten() throws Exception {
        String model = SharedFolder.path("golden/stories260K").toString();
        Path data = Files.writeString(folder.resolve("mine.jsonl"), """
                {"instruction": "Is water wet?", "answer": "yes"}
                {"instruction": "Is fire cold?", "answer": "no"}
                {"instruction": "Is snow white?", "answer": "yes"}
                """);
        String[] args = {"--model", model, "--data", data.toString(), "--kind", "choice", "--alternatives", "yes,no", "--beams", "2",
                "--max-new-tokens", "3", "--template", "short", "--limit", "2"};
        assertThat(eval(args)).as(err.toString()).isZero();
        assertThat(out.toString()).containsPattern("mine +0\\.0% +50\\.0% +2 +2 ");
        assertThat(folder.resolve("out/mine.json")).content().contains("Is water wet?").doesNotContain("snow");
        assertThat(folder.resolve("out/mine.summary.json")).content().contains("\"majority_baseline\": 0.5", "\"records\": 3",
                "\"adapter\": null", "\"max_new_tokens\": 3");
        assertThat(Files.readAllLines(folder.resolve("out/mine.jsonl"))).hasSize(3);
    }

    @Test
    void anUnknownTaskListsTheSixteen() {
        assertThat(eval("--model", "m", "--task", "AddSup", "--data-root", ".")).isEqualTo(2);
        assertThat(err.toString()).contains("no task 'AddSup'", "MultiArith", "openbookqa");
    }

    @Test
    void aMissingTestSetSaysWhereItWasLookedFor() {
        assertThat(eval("--model", "m", "--task", "AddSub", "--data-root", folder.toString())).isEqualTo(1);
        assertThat(err.toString()).contains(folder.resolve("AddSub/test.json").toString());
    }

    @Test
    void optionsThatDoNotGoTogetherAreUsageErrors() {
        assertThat(eval("--model", "m")).isEqualTo(2);
        assertThat(eval("--model", "m", "--task", "AddSub")).isEqualTo(2);
        assertThat(eval("--model", "m", "--data", "x.json")).isEqualTo(2);
        assertThat(eval("--model", "m", "--data", "x.json", "--kind", "choice")).isEqualTo(2);
        assertThat(eval("--model", "m", "--data", "x.json", "--kind", "numeric", "--beams", "0")).isEqualTo(2);
        assertThat(err.toString()).contains("either --task or --data", "--data-root", "--kind", "--alternatives", "--beams");
    }
}
