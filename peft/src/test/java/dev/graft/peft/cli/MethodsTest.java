package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.peft.Adapters;
import dev.graft.peft.Method;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `methods`, and that docs/methods.md says the same.
class MethodsTest extends CommandTest {
    private record Row(String trained, String mergeable, String files) {
    }

    private Map<String, Row> printed() {
        assertThat(graft("methods")).isZero();
        Map<String, Row> rows = new LinkedHashMap<>();
        List<String> lines = out.toString().lines().toList();
        int trained = lines.getFirst().indexOf("trained on 7B"), mergeable = lines.getFirst().indexOf("mergeable");
        lines.stream().skip(1).takeWhile(line -> !line.isBlank()).forEach(line -> {
            String[] rest = line.substring(mergeable).split(" +");
            rows.put(line.substring(0, line.indexOf(' ')),
                    new Row(line.substring(trained, trained + "trained on 7B".length()).trim(), rest[0], rest[1]));
        });
        return rows;
    }

    @Test
    void thePageAndTheTableSayTheSame() throws IOException {
        List<String> lines = Files.readAllLines(Path.of("../docs/methods.md"));
        int head = lines.indexOf(lines.stream().filter(l -> l.startsWith("| name |")).findFirst().orElseThrow());
        List<String> titles = cells(lines.get(head));
        Map<String, Row> rows = new LinkedHashMap<>();
        lines.stream().skip(head + 2).takeWhile(l -> l.startsWith("|")).map(MethodsTest::cells)
                .forEach(c -> rows.put(c.getFirst().replaceAll("^\\[?`|`.*$", ""),
                        new Row(c.get(titles.indexOf("on LLaMA-7B")), c.get(titles.indexOf("merges")), c.get(titles.indexOf("files")))));
        assertThat(rows).containsExactlyEntriesOf(printed());
        assertThat(rows.keySet()).containsExactlyElementsOf(Adapters.ALL.stream().map(Method::name).toList());
    }

    private static List<String> cells(String row) {
        return Arrays.stream(row.substring(1).split("\\|")).map(String::trim).toList();
    }

    /// As published, or by the formula of the paper; PEFT counts the same.
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "lora            |   4,194,304", // 32 layers, q and v: 2 · 8 · (4096 + 4096)
            "series-h        | 201,326,592", // LLM-Adapters' AdapterH
            "series          |  67,108,864", // its AdapterP
            "parallel        | 201,326,592",
            "ia3             |     614,400", // 32 · (4096 + 4096 + 11008)
            "dora            |   4,456,448", // lora and 2 · 32 · 4096
            "vera            |     278,528", // 2 · 32 · (256 + 4096)
            "fourierft       |      64,000", // 2 · 32 · 1000, as in the paper's table for LLaMA2-7B
            "road            |     262,144", // 2 · 32 · 4096
            "ln-tuning       |     266,240", // 65 · 4096
            "prompt          |      81,920", // 20 · 4096
            "adalora         |   6,292,224", // 2 · 32 · (12 · 8192 + 12)
            "llama-adapter   |   1,228,830", // 30 · (10 · 4096 + 1), the paper's 1.2 M
            "prefix          |   7,864,320"}) // 30 · 2 · 32 · 4096
    void countsOnLlama7bAreThePublishedOnes(String method, String trained) {
        assertThat(printed().get(method).trained).isEqualTo(trained);
    }
}
