package dev.graft.peft.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Results kept and shown. The numbers of the report are worked by hand.
class StudyReportTest {
    private static final List<String> TESTS = List.of("sums", "choices");

    @TempDir
    Path folder;
    private StudyResults results;
    private final List<Cell> cells = new ArrayList<>();

    @BeforeEach
    void open() {
        results = StudyResults.open(folder.resolve("results.jsonl"));
    }

    private Cell cell(String model, String method, String place, long seed) {
        Cell cell = method.equals("none") ? new Cell(model, method, place, Map.of(), Double.NaN, 0, Cell.BARE, Map.of())
                : new Cell(model, method, place, Map.of(), 0.01, seed, "lora", Map.of("r", 2));
        cells.add(cell);
        return cell;
    }

    private void done(Cell cell, double sums, double choices, int parameters, double tokensPerSecond) {
        Map<String, Object> accuracy = new LinkedHashMap<>();
        accuracy.put("sums", sums);
        accuracy.put("choices", choices);
        Map<String, Object> line = new LinkedHashMap<>(Map.of("accuracy", accuracy, "peak_tensor_bytes", 12_400_000L));
        if (!cell.isBare()) {
            line.put("trainable_parameters", parameters);
            line.put("tokens_per_second", tokensPerSecond);
        }
        line.put("settings", Map.of("steps", 3));
        results.put(cell, line);
    }

    private void someOfTwoModels() {
        done(cell("a", "none", "", 0), 0.02, 0.5, 0, 0);
        done(cell("a", "lora", "mlp", 1), 0.40, 0.60, 1234, 1000);
        done(cell("a", "lora", "mlp", 2), 0.50, 0.70, 1234, 1100.4);
        done(cell("a", "lora", "both", 1), 0.61, 0.5, 2468, 900);
        results.put(cell("a", "lora", "both", 2), Map.of("error", "the loss is NaN.\nTry | a tenth."));
        done(cell("b", "lora", "mlp", 1), 0.9, 0.8, 1234, 2000);
        done(cell("b", "lora", "mlp", 2), 0.9, 0.8, 1234, 2000);
        cell("b", "lora", "both", 1);
        cell("b", "lora", "both", 2);
    }

    /// Seeds 40, 50: mean 45, deviation √50 = 7.07. Averages of the seeds 50, 60: the same deviation. Of the place mlp: (55 + 85)/2.
    @Test
    void theTablesAreThoseOfThePaper() {
        someOfTwoModels();
        assertThat(StudyReport.of(cells, TESTS, results, List.of("a.png", "my b.png"))).isEqualTo("""
                # Study

                9 cells: 6 done, 1 failed, 2 to do. Accuracy in %, mean ± standard deviation over 2 seeds; the best of a column is bold.

                ## a

                | method | place | parameters | sums | choices | average | tokens/s | peak MB |
                |---|---|---:|---:|---:|---:|---:|---:|
                | none |  |  | 2.0 | 50.0 | 26.0 |  | 12 |
                | lora | mlp | 1,234 | **45.0 ± 7.1** | **65.0 ± 7.1** | **55.0 ± 7.1** | 1,050 | 12 |
                | lora | both | 2,468 | 61.0 (1 of 2 failed) | 50.0 (1 of 2 failed) | 55.5 (1 of 2 failed) | 900 | 12 |

                ## b

                | method | place | parameters | sums | choices | average | tokens/s | peak MB |
                |---|---|---:|---:|---:|---:|---:|---:|
                | lora | mlp | 1,234 | **90.0 ± 0.0** | **80.0 ± 0.0** | **85.0 ± 0.0** | 2,000 | 12 |
                | lora | both | – | – | – | – | – | – |

                ## Places

                The average over all models and test sets, of each method at each place with its best size and rate.

                | method | mlp | both |
                |---|---:|---:|
                | lora | **70.0** | – |

                ![a](a.png)

                ![my b](my%20b.png)

                ## Failed

                - `a/lora/both/lr=0.01/seed=2`: the loss is NaN. Try | a tenth.
                """);
    }

    /// A grid of one place and two rates has a column for the rates alone, and one test set no average.
    @Test
    void columnsThatSayTheSameEverywhereAreLeftOut() {
        for (double rate : new double[] {0.1, 0.2}) {
            Cell cell = new Cell("m", "lora", "mlp", Map.of("r", 4), rate, 7, "lora", Map.of());
            cells.add(cell);
            results.put(cell,
                    Map.of("accuracy", Map.of("sums", rate), "trainable_parameters", 5, "tokens_per_second", 1, "peak_tensor_bytes", 0));
        }
        assertThat(StudyReport.of(cells, List.of("sums"), results, List.of())).endsWith("""
                | method | rate | parameters | sums | tokens/s | peak MB |
                |---|---:|---:|---:|---:|---:|
                | lora | 0.1 | 5 | 10.0 | 1 | 0 |
                | lora | 0.2 | 5 | **20.0** | 1 | 0 |
                """).contains("over 1 seed;").doesNotContain("## Places", "## Failed");
    }

    @Test
    void picturesAreDrawnOfWhatIsThere() throws Exception {
        someOfTwoModels();
        List<String> names = StudyPlots.draw(cells, TESTS, results, folder);
        assertThat(names).containsExactly("accuracy-a.png", "accuracy-b.png", "parameters.png");
        for (String name : names) assertThat(ImageIO.read(folder.resolve(name).toFile()).getWidth()).isEqualTo(1000);
        assertThat(StudyPlots.draw(List.of(new Cell("c", "lora", "", Map.of(), 0.1, 1, "lora", Map.of())), TESTS, results, folder))
                .isEmpty();
    }

    @Test
    void resultsAreAsTheyWereAfterReopeningAndFailedCellsAreToDo() throws Exception {
        someOfTwoModels();
        StudyResults reopened = StudyResults.open(folder.resolve("results.jsonl"));
        assertThat(cells.stream().map(reopened::of)).isEqualTo(cells.stream().map(results::of).toList());
        assertThat(cells.stream().map(reopened::isDone)).containsExactly(true, true, true, true, false, true, true, false, false);
        done(cells.get(4), 0.3, 0.3, 2468, 1);
        assertThat(Files.readAllLines(folder.resolve("results.jsonl"))).hasSize(7).noneMatch(l -> l.contains("error"));
    }

    @Test
    void aCellMadeFromSomethingElseIsNamedWithTheDifference() {
        someOfTwoModels();
        results.requireSame(cells.get(1), Map.of("settings", Map.of("steps", 3)));
        results.requireSame(cells.get(4), Map.of("settings", Map.of("steps", 4)));
        assertThatThrownBy(() -> results.requireSame(cells.get(1), Map.of("settings", Map.of("steps", 4)))).hasMessageContaining(
                "results.jsonl holds the cell a/lora/mlp/lr=0.01/seed=1 as it was made from something else: settings.steps was 3 and is 4;");
    }
}
