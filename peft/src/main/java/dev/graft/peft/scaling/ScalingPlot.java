package dev.graft.peft.scaling;

import dev.graft.peft.plot.Charts;
import java.awt.Color;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/// A law beside the runs it was fitted to, and those it was not: a curve for each amount of data, over sizes; of several sizes at once, all runs over what is foretold of them.
public final class ScalingPlot {
    private static final int CURVE = 100;
    /// Apart for colour-blind readers, too (Okabe and Ito).
    private static final Color[] COLORS = {new Color(0x0072B2), new Color(0xD55E00), new Color(0x009E73), new Color(0xCC79A7),
            new Color(0xE69F00), new Color(0x56B4E9), new Color(0x000000)};

    private ScalingPlot() {
    }

    /// Draws a PNG.
    ///
    /// @param x what sizes are
    /// @param d what amounts of data are
    public static void draw(ScalingLaw law, List<Measured> fitted, List<Measured> heldOut, String x, String d, Path file) {
        Charts.png(() -> chart(law, fitted, heldOut, x, d), file);
    }

    private static XYChart chart(ScalingLaw law, List<Measured> fitted, List<Measured> heldOut, String x, String d) {
        List<Measured> all = java.util.stream.Stream.concat(fitted.stream(), heldOut.stream()).toList();
        XYChart chart = all.getFirst().sizes().size() == 1 ? overSizes(law, fitted, heldOut, all, x, d)
                : overForetold(law, fitted, heldOut, all);
        chart.getStyler().setXAxisLogarithmic(true).setChartBackgroundColor(Color.WHITE).setLegendPosition(LegendPosition.OutsideE);
        return chart;
    }

    /// Of several sizes: what was measured over what is foretold, on the diagonal where the law is right.
    private static XYChart overForetold(ScalingLaw law, List<Measured> fitted, List<Measured> heldOut, List<Measured> all) {
        XYChart chart = new XYChartBuilder().width(1000).height(600).title(law.toString()).xAxisTitle("loss foretold")
                .yAxisTitle("loss measured")
                .build();
        double[] ends = all.stream().mapToDouble(law::at).sorted().toArray(), line = {ends[0], ends[ends.length - 1]};
        chart.addSeries("law", line, line).setMarker(SeriesMarkers.NONE).setLineColor(COLORS[0]);
        foretold(chart, "fitted", law, fitted, true);
        foretold(chart, "held out", law, heldOut, false);
        chart.getStyler().setYAxisLogarithmic(true);
        return chart;
    }

    private static void foretold(XYChart chart, String name, ScalingLaw law, List<Measured> runs, boolean filled) {
        if (runs.isEmpty()) return;
        chart.addSeries(name, runs.stream().map(law::at).toList(), runs.stream().map(Measured::loss).toList())
                .setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter).setMarkerColor(COLORS[filled ? 0 : 1])
                .setMarker(filled ? SeriesMarkers.CIRCLE : SeriesMarkers.CROSS);
    }

    private static XYChart overSizes(ScalingLaw law, List<Measured> fitted, List<Measured> heldOut, List<Measured> all, String x,
            String d) {
        XYChart chart = new XYChartBuilder().width(1000).height(600).title(law.toString()).xAxisTitle(x).yAxisTitle("loss").build();
        double[] amounts = all.stream().mapToDouble(Measured::d).distinct().sorted().toArray();
        double[] sizes = curve(all);
        for (int i = 0; i < amounts.length; i++) {
            double amount = amounts[i];
            Color color = COLORS[i % COLORS.length];
            String name = amounts.length == 1 ? "" : String.format(Locale.ROOT, "%s = %.6g", d, amount);
            XYSeries line = chart.addSeries((name + " law").strip(), sizes, DoubleStream.of(sizes).map(s -> law.at(s, amount)).toArray());
            line.setMarker(SeriesMarkers.NONE).setLineColor(color);
            points(chart, (name + " fitted").strip(), fitted, amount, color, true);
            points(chart, (name + " held out").strip(), heldOut, amount, color, false);
        }
        return chart;
    }

    private static double[] curve(List<Measured> all) {
        double low = Math.log(all.stream().mapToDouble(Measured::x).min().orElseThrow());
        double high = Math.log(all.stream().mapToDouble(Measured::x).max().orElseThrow());
        return IntStream.rangeClosed(0, CURVE).mapToDouble(i -> Math.exp(low + (high - low) * i / CURVE)).toArray();
    }

    private static void points(XYChart chart, String name, List<Measured> runs, double amount, Color color, boolean filled) {
        List<Measured> own = runs.stream().filter(r -> r.d() == amount).toList();
        if (own.isEmpty()) return;
        chart.addSeries(name, own.stream().map(Measured::x).toList(), own.stream().map(Measured::loss).toList())
                .setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter).setMarkerColor(color)
                .setMarker(filled ? SeriesMarkers.CIRCLE : SeriesMarkers.CROSS);
    }
}
