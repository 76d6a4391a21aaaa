package dev.graft.peft.study;

import dev.graft.peft.study.Figures.Row;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// A study as Markdown, in the layout of LLM-Adapters' tables: of each model a table with a row per method and place and a column per test set.
///
/// Numbers are means over the seeds ± the sample standard deviation; the best mean of a column is bold, of rows whose seeds are all done. A column that says the same of every row
/// is left out.
public final class StudyReport {
    private static final String MISSING = "–";

    private final List<Cell> cells;
    private final List<String> tests;
    private final StudyResults results;
    private final StringBuilder text = new StringBuilder();

    private StudyReport(List<Cell> cells, List<String> tests, StudyResults results) {
        this.cells = cells;
        this.tests = tests;
        this.results = results;
    }

    /// @param cells of the grid
    /// @param tests the names of the test sets
    /// @param pictures of [StudyPlots], which stand beside the report
    public static String of(List<Cell> cells, List<String> tests, StudyResults results, List<String> pictures) {
        return new StudyReport(cells, tests, results).write(pictures);
    }

    /// A column: its title, whether it is of numbers, what it says of a row, and by what the best row is found, or null.
    private record Column(String title, boolean isNumeric, Function<Row, String> text, Function<Row, List<Double>> best) {
    }

    private String write(List<String> pictures) {
        List<Figures> tables = Figures.of(cells, results);
        long done = cells.stream().filter(results::isDone).count();
        long failed = cells.stream().filter(c -> results.of(c).isPresent()).count() - done;
        long seeds = cells.stream().filter(c -> !c.isBare()).map(Cell::seed).distinct().count();
        line("# Study");
        line("");
        line("%d cells: %d done, %d failed, %d to do. Accuracy in %%, mean ± standard deviation over %s; the best of a column is bold."
                .formatted(cells.size(), done, failed, cells.size() - done - failed, seeds == 1 ? "1 seed" : seeds + " seeds"));
        for (Figures table : tables) table(table);
        if (tables.size() > 1 && cells.stream().map(Cell::place).filter(p -> !p.isEmpty()).distinct().count() > 1) places(tables);
        for (String picture : pictures) line("\n![%s](%s)".formatted(picture.replaceFirst("\\.png$", ""), picture.replace(" ", "%20")));
        if (failed > 0) failures();
        return text.toString();
    }

    private void table(Figures table) {
        line("\n## " + table.model() + "\n");
        List<Column> columns = new ArrayList<>(List.of(
                new Column("method", false, r -> r.first().method(), null),
                new Column("place", false, r -> r.first().place(), null),
                new Column("size", false, r -> r.first().sizeText(), null),
                new Column("rate", true, r -> r.first().isBare() ? "" : Double.toString(r.first().learningRate()), null),
                new Column("parameters", true, r -> whole(r, "trainable_parameters", 1), null)));
        for (String test : tests) columns.add(new Column(test, true, r -> accuracy(r, r.accuracies(test)), r -> r.accuracies(test)));
        if (tests.size() > 1) columns.add(new Column("average", true, r -> accuracy(r, r.averages(tests)), r -> r.averages(tests)));
        columns.add(new Column("tokens/s", true, r -> whole(r, "tokens_per_second", 1), null));
        columns.add(new Column("peak MB", true, r -> whole(r, "peak_tensor_bytes", 1e-6), null));
        columns.removeIf(c -> List.of("place", "size", "rate").contains(c.title)
                && table.rows().stream().filter(r -> !r.first().isBare()).map(c.text).distinct().count() < 2);
        write(columns, table.rows());
    }

    private void write(List<Column> columns, List<Row> rows) {
        List<Double> best = columns.stream().map(c -> c.best == null ? null : best(c, rows)).toList();
        row(columns.stream().map(Column::title));
        line(columns.stream().map(c -> c.isNumeric ? "---:" : "---").collect(Collectors.joining("|", "|", "|")));
        for (Row row : rows) {
            row(IntStream.range(0, columns.size()).mapToObj(i -> {
                String said = columns.get(i).text.apply(row);
                boolean isBest = best.get(i) != null && row.isWhole()
                        && Figures.mean(columns.get(i).best.apply(row)) == best.get(i);
                return isBest ? "**" + said + "**" : said;
            }));
        }
    }

    private static Double best(Column column, List<Row> rows) {
        return rows.stream().filter(Row::isWhole).map(r -> Figures.mean(column.best.apply(r))).max(Double::compare)
                .orElse(null);
    }

    /// Which place suits which method: over all models and test sets, of each method and place its best size and rate.
    private void places(List<Figures> tables) {
        List<String> places = cells.stream().map(Cell::place).filter(p -> !p.isEmpty()).distinct().toList();
        line("\n## Places\n\nThe average over all models" + (tests.size() > 1 ? " and test sets" : "")
                + ", of each method at each place with its best size and rate.\n");
        row(Stream.concat(Stream.of("method"), places.stream()));
        line("|---|" + "---:|".repeat(places.size()));
        for (String method : cells.stream().filter(c -> !c.place().isEmpty()).map(Cell::method).distinct().toList()) {
            List<Double> means = places.stream().map(p -> everywhere(tables, method, p)).toList();
            Double best = means.stream().filter(Objects::nonNull).max(Double::compare).orElse(null);
            row(Stream.concat(Stream.of(method), means.stream().map(m -> m == null ? MISSING
                    : m.equals(best) ? "**%s**".formatted(one(m)) : one(m))));
        }
    }

    /// Null when one of the models has not all its seeds there.
    private Double everywhere(List<Figures> tables, String method, String place) {
        List<Double> ofModels = new ArrayList<>();
        for (Figures table : tables) {
            table.rows().stream().filter(r -> r.first().method().equals(method) && r.first().place().equals(place) && r.isWhole())
                    .map(r -> Figures.mean(r.averages(tests))).max(Double::compare).ifPresent(ofModels::add);
        }
        return ofModels.size() < tables.size() ? null : Figures.mean(ofModels);
    }

    private void failures() {
        line("\n## Failed\n");
        for (Cell cell : cells) {
            results.of(cell).filter(l -> l.containsKey("error"))
                    .ifPresent(l -> line("- `%s`: %s".formatted(cell.id(), String.valueOf(l.get("error")).replaceAll("\\s+", " "))));
        }
    }

    /// `53.2 ± 1.4`, with what is missing of the seeds.
    private static String accuracy(Row row, List<Double> values) {
        String missing = row.failed() > 0 ? "%d of %d failed".formatted(row.failed(), row.cells().size())
                : values.size() < row.cells().size() ? "%d of %d".formatted(values.size(), row.cells().size()) : "";
        if (values.isEmpty()) return row.failed() > 0 ? missing : MISSING;
        String mean = one(Figures.mean(values)) + (values.size() > 1 ? " ± " + one(Figures.spread(values)) : "");
        return missing.isEmpty() ? mean : mean + " (" + missing + ")";
    }

    private static String whole(Row row, String figure, double unit) {
        if (row.first().isBare() && !figure.startsWith("peak")) return "";
        var mean = row.mean(figure);
        return mean.isEmpty() ? MISSING : String.format(Locale.ROOT, "%,d", Math.round(mean.getAsDouble() * unit));
    }

    private static String one(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }

    private void row(Stream<String> values) {
        line(values.map(v -> v.replace("|", "\\|")).collect(Collectors.joining(" | ", "| ", " |")));
    }

    private void line(String line) {
        text.append(line).append('\n');
    }
}
