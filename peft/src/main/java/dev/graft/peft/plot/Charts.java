package dev.graft.peft.plot;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.function.Supplier;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;

/// Charts as files.
public final class Charts {
    private Charts() {
    }

    /// Writes a PNG.
    ///
    /// @param chart made once drawing needs no screen
    public static void png(Supplier<XYChart> chart, Path file) {
        if (System.getProperty("java.awt.headless") == null) System.setProperty("java.awt.headless", "true");
        try {
            ImageIO.write(BitmapEncoder.getBufferedImage(chart.get()), "png", file.toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be written: " + e.getMessage(), e);
        }
    }
}
