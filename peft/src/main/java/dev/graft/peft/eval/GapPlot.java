package dev.graft.peft.eval;

import dev.graft.peft.plot.Charts;
import java.awt.BasicStroke;
import java.awt.Color;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/// What a steered model reaches for each α, between what it is by itself and what tuning it gives.
public final class GapPlot {
    private static final Color STEERED = new Color(0x0072B2), TUNED = new Color(0x009E73), BASE = new Color(0xD55E00);

    private GapPlot() {
    }

    /// Draws a PNG.
    ///
    /// @param runs of one set by several α
    public static void draw(List<GapClosed.Set> runs, Path file) {
        Charts.png(() -> chart(runs), file);
    }

    private static XYChart chart(List<GapClosed.Set> runs) {
        List<GapClosed.Set> all = runs.stream().sorted(Comparator.comparingDouble(r -> r.alpha().orElseThrow())).toList();
        GapClosed.Set one = all.getFirst();
        double[] alphas = all.stream().mapToDouble(r -> r.alpha().orElseThrow()).toArray(), ends = {0, alphas[alphas.length - 1]};
        XYChart chart = new XYChartBuilder().width(800).height(500).title(one.task()).xAxisTitle("α").yAxisTitle(one.metric()).build();
        line(chart, "tuned", ends, new double[] {one.tuned(), one.tuned()}, TUNED, SeriesMarkers.NONE);
        line(chart, "steered", alphas, all.stream().mapToDouble(GapClosed.Set::proxy).toArray(), STEERED, SeriesMarkers.CIRCLE);
        line(chart, "base", ends, new double[] {one.base(), one.base()}, BASE, SeriesMarkers.NONE);
        chart.getStyler().setYAxisMin(0.0).setChartBackgroundColor(Color.WHITE).setLegendPosition(LegendPosition.OutsideE);
        return chart;
    }

    private static void line(XYChart chart, String name, double[] x, double[] y, Color color, Marker marker) {
        chart.addSeries(name, x, y).setMarker(marker).setMarkerColor(color).setLineColor(color).setLineStyle(new BasicStroke(2f));
    }
}
