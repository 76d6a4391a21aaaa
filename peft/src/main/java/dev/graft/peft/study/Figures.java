package dev.graft.peft.study;

import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.SequencedMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/// What a study found, arranged as its tables are: cells that differ in their seed alone are one row.
///
/// @param model the table
/// @param rows its rows, in the grid's order
record Figures(String model, List<Row> rows) {
    /// @param cells of all seeds
    /// @param done lines of results of those that came to an end
    /// @param failed how many did not
    record Row(Cell first, List<Cell> cells, List<Map<String, Object>> done, int failed) {
        /// In percent, over the seeds.
        List<Double> accuracies(String test) {
            return done.stream().map(line -> 100 * number(((Map<?, ?>) line.get("accuracy")).get(test))).toList();
        }

        /// Whether all seeds are done.
        boolean isWhole() {
            return done.size() == cells.size();
        }

        /// The mean of a seed's accuracies on all tests.
        List<Double> averages(List<String> tests) {
            return done.stream().map(line -> tests.stream().mapToDouble(t -> 100 * number(((Map<?, ?>) line.get("accuracy")).get(t)))
                    .average().orElseThrow()).toList();
        }

        /// The mean over the seeds of a figure that a line has.
        OptionalDouble mean(String figure) {
            return done.stream().filter(line -> line.get(figure) != null).mapToDouble(line -> number(line.get(figure))).average();
        }
    }

    static List<Figures> of(List<Cell> cells, StudyResults results) {
        SequencedMap<String, List<Cell>> models = grouped(cells, Cell::model);
        return models.entrySet().stream().map(model -> new Figures(model.getKey(),
                grouped(model.getValue(), c -> List.of(c.method(), c.place(), c.sizeText(), c.learningRate())).values().stream()
                        .map(row -> row(row, results)).toList()))
                .toList();
    }

    private static Row row(List<Cell> cells, StudyResults results) {
        List<Map<String, Object>> done = cells.stream().filter(results::isDone).map(c -> results.of(c).orElseThrow()).toList();
        int failed = (int) cells.stream().filter(c -> results.of(c).isPresent() && !results.isDone(c)).count();
        return new Row(cells.getFirst(), cells, done, failed);
    }

    private static <K> SequencedMap<K, List<Cell>> grouped(List<Cell> cells, java.util.function.Function<Cell, K> by) {
        return cells.stream().collect(Collectors.groupingBy(by, java.util.LinkedHashMap::new, Collectors.toList()));
    }

    static double mean(List<Double> values) {
        return values.stream().mapToDouble(v -> v).average().orElseThrow();
    }

    /// Sample standard deviation, 0 of a single value.
    static double spread(List<Double> values) {
        if (values.size() < 2) return 0;
        double mean = mean(values);
        ToDoubleFunction<Double> square = v -> (v - mean) * (v - mean);
        return Math.sqrt(values.stream().mapToDouble(square).sum() / (values.size() - 1));
    }

    private static double number(Object value) {
        return ((Number) value).doubleValue();
    }
}
