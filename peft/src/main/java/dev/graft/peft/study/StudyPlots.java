package dev.graft.peft.study;

import dev.graft.peft.study.Figures.Row;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A study's pictures: of each model its methods by place, each with its best size and rate; and what accuracy costs in parameters, a point for each row of all tables. Accuracy
/// is the average over the test sets.
public final class StudyPlots {
    private static final Logger LOG = LoggerFactory.getLogger(StudyPlots.class);
    /// Apart for colour-blind readers, too (Okabe and Ito).
    private static final Color[] COLORS = {new Color(0x0072B2), new Color(0xE69F00), new Color(0x009E73), new Color(0xD55E00),
            new Color(0xCC79A7), new Color(0x56B4E9), new Color(0xF0E442), new Color(0x000000), new Color(0x882255), new Color(0x999999),
            new Color(0x332288)};

    private final List<String> tests;
    private final Path folder;
    private final List<String> written = new ArrayList<>();

    private StudyPlots(List<String> tests, Path folder) {
        this.tests = tests;
        this.folder = folder;
    }

    /// Draws into `folder`, and says the names of the pictures.
    public static List<String> draw(List<Cell> cells, List<String> tests, StudyResults results, Path folder) {
        if (System.getProperty("java.awt.headless") == null) System.setProperty("java.awt.headless", "true");
        StudyPlots plots = new StudyPlots(tests, folder);
        List<Figures> tables = Figures.of(cells, results);
        for (Figures table : tables) {
            if (table.rows().stream().anyMatch(r -> !r.done().isEmpty()))
                plots.save(plots.places(table), "accuracy-" + table.model() + ".png");
        }
        if (tables.stream().flatMap(t -> t.rows().stream()).anyMatch(r -> !r.done().isEmpty() && !r.first().isBare())) {
            plots.save(plots.sizes(tables), "parameters.png");
        }
        return plots.written;
    }

    private CategoryChart places(Figures table) {
        CategoryChart chart = new CategoryChartBuilder().width(1000).height(500).title(table.model()).yAxisTitle("accuracy, %").build();
        List<String> methods = table.rows().stream().map(r -> r.first().method()).distinct().toList();
        List<String> places = table.rows().stream().map(r -> r.first().place()).distinct().toList();
        for (String place : places) {
            List<Double> means = new ArrayList<>();
            List<Double> spreads = new ArrayList<>();
            for (String method : methods) {
                Optional<Row> best = best(table, method, place);
                means.add(best.map(r -> Figures.mean(r.averages(tests))).orElse(null));
                spreads.add(best.map(r -> Figures.spread(r.averages(tests))).orElse(null));
            }
            if (means.stream().allMatch(m -> m == null)) continue;
            chart.addSeries(place.isEmpty() ? "without a place" : place, methods, means, spreads);
        }
        chart.getStyler().setYAxisMin(0.0).setYAxisMax(100.0).setSeriesColors(COLORS).setChartBackgroundColor(Color.WHITE)
                .setLegendPosition(LegendPosition.OutsideE);
        chart.getStyler().setXAxisLabelRotation(methods.size() > 8 ? 45 : 0).setXAxisTickMarkSpacingHint(1)
                .setPlotGridVerticalLinesVisible(false);
        return chart;
    }

    private XYChart sizes(List<Figures> tables) {
        XYChart chart = new XYChartBuilder().width(1000).height(500).title("accuracy and size").xAxisTitle("trainable parameters")
                .yAxisTitle("accuracy, %").build();
        List<Row> rows = tables.stream().flatMap(t -> t.rows().stream()).filter(r -> !r.done().isEmpty() && !r.first().isBare()).toList();
        for (String method : rows.stream().map(r -> r.first().method()).distinct().toList()) {
            List<Row> own = rows.stream().filter(r -> r.first().method().equals(method)).toList();
            chart.addSeries(method, own.stream().map(r -> r.mean("trainable_parameters").orElseThrow()).toList(),
                    own.stream().map(r -> Figures.mean(r.averages(tests))).toList());
        }
        chart.getStyler().setDefaultSeriesRenderStyle(XYSeriesRenderStyle.Scatter).setXAxisLogarithmic(true).setYAxisMin(0.0)
                .setYAxisMax(100.0).setSeriesColors(COLORS).setChartBackgroundColor(Color.WHITE).setLegendPosition(LegendPosition.OutsideE);
        return chart;
    }

    private Optional<Row> best(Figures table, String method, String place) {
        return table.rows().stream()
                .filter(r -> r.first().method().equals(method) && r.first().place().equals(place) && !r.done().isEmpty())
                .max(Comparator.comparingDouble(r -> Figures.mean(r.averages(tests))));
    }

    private void save(Chart<?, ?> chart, String name) {
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(chart), "png", folder.resolve(name).toFile());
            written.add(name);
        } catch (IOException | RuntimeException | LinkageError e) {
            // A machine without fonts cannot draw; the figures are in the report all the same.
            LOG.warn("{} cannot be drawn: {}", name, e.toString());
        }
    }
}
