package dev.graft.peft.train;

import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Draws the losses of a [MetricsLog] when the run ends: each step's, their running mean, and the validations'.
public final class LossCurve implements TrainListener {
    private static final Logger LOG = LoggerFactory.getLogger(LossCurve.class);

    private final Path metrics;
    private final Path picture;

    /// @param metrics of the log, which must come before this among the listeners
    /// @param picture a PNG
    public LossCurve(Path metrics, Path picture) {
        this.metrics = metrics;
        this.picture = picture;
    }

    @Override
    public void onEnd(TrainResult result) {
        MetricsLog.Losses losses = MetricsLog.Losses.read(metrics);
        if (losses.steps().isEmpty()) return;
        if (System.getProperty("java.awt.headless") == null) System.setProperty("java.awt.headless", "true");
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(chart(losses)), "png", picture.toFile());
        } catch (IOException | RuntimeException | LinkageError e) {
            // A machine without fonts cannot draw; that is no reason to lose a trained adapter.
            LOG.warn("the loss curve {} cannot be drawn: {}", picture, e.toString());
        }
    }

    private static XYChart chart(MetricsLog.Losses losses) {
        XYChart chart = new XYChartBuilder().width(1000).height(600).title("Loss").xAxisTitle("step").yAxisTitle("loss per token").build();
        chart.getStyler().setPlotGridLinesColor(new Color(0xE6E6E6));
        chart.getStyler().setChartBackgroundColor(Color.WHITE).setLegendPosition(LegendPosition.InsideNE);
        line(chart, "step", losses.steps(), new Color(0xB8CCE4), 1f);
        line(chart, "running mean", smoothed(losses.steps()), new Color(0x1F4E9C), 2f);
        if (!losses.validations().isEmpty()) {
            line(chart, "validation", losses.validations(), new Color(0xC0392B), 2f).setMarker(SeriesMarkers.CIRCLE);
        }
        return chart;
    }

    private static XYSeries line(XYChart chart, String name, List<double[]> points, Color color, float width) {
        XYSeries series = chart.addSeries(name, points.stream().mapToDouble(p -> p[0]).toArray(),
                points.stream().mapToDouble(p -> p[1]).toArray());
        series.setMarkerColor(color);
        series.setMarker(SeriesMarkers.NONE).setLineColor(color).setLineStyle(new BasicStroke(width));
        return series;
    }

    /// An exponential mean over about a twentieth of the run, corrected for its start.
    private static List<double[]> smoothed(List<double[]> points) {
        double keep = 1 - 1.0 / Math.max(1, points.size() / 20.0);
        double[] state = new double[2];
        return points.stream().map(p -> {
            state[0] = keep * state[0] + (1 - keep) * p[1];
            state[1] = keep * state[1] + (1 - keep);
            return new double[] {p[0], state[0] / state[1]};
        }).toList();
    }
}
