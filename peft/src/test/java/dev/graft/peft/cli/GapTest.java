package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.io.Json;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `gap` over folders as `eval` writes them.
class GapTest extends CommandTest {
    @TempDir
    Path folder;

    @BeforeEach
    void results() throws IOException {
        results("base", 0.2, null);
        results("half", 0.1, 0.5);
        results("whole", 0.5, 1.0);
        results("tuned", 0.8, null);
    }

    private void results(String name, double accuracy, Double alpha) throws IOException {
        Map<String, Object> summary = new LinkedHashMap<>(Map.of("task", "sums", "accuracy", accuracy, "data", Map.of("sha256", "ab")));
        if (alpha != null) summary.put("proxy", Map.of("alpha", alpha));
        Json.write(Files.createDirectory(folder.resolve(name)).resolve("sums.summary.json"), summary);
    }

    private int gap(Object... proxies) {
        return graft(join(new Object[] {"gap", "--base", folder.resolve("base"), "--tuned", folder.resolve("tuned")}, proxies));
    }

    @Test
    void severalAreATableEachAndOnePicture() throws IOException {
        assertThat(gap("--proxy", folder.resolve("whole"), "--proxy", folder.resolve("half"), "--plot", folder.resolve("plots")))
                .as(err.toString()).isZero();
        assertThat(out.toString().lines().filter(line -> line.startsWith("sums")).toList()).satisfiesExactly(
                line -> assertThat(line).contains("0.5000").endsWith("50.0 %"),
                line -> assertThat(line).contains("0.1000").endsWith("-16.7 %"));
        assertThat(out.toString()).contains(folder.resolve("half") + System.lineSeparator());
        BufferedImage picture = ImageIO.read(folder.resolve("plots/alpha-sums.png").toFile());
        int blue = 0;
        for (int x = 0; x < picture.getWidth(); x++)
            for (int y = 0; y < picture.getHeight(); y++) if ((picture.getRGB(x, y) & 0xFFFFFF) == 0x0072B2) blue++;
        assertThat(blue).as("a line from one point to the other").isGreaterThan(300);
    }

    @Test
    void oneIsATableAlone() {
        assertThat(gap("--proxy", folder.resolve("whole"))).as(err.toString()).isZero();
        assertThat(out.toString()).startsWith("set ");
    }

    @Test
    void whatWasNotSteeredHasNoPlaceInThePicture() {
        assertThat(gap("--proxy", folder.resolve("base"), "--plot", folder.resolve("plots"))).isEqualTo(1);
        assertThat(err.toString()).contains("base was not steered, so there is no alpha to draw it at; leave out --plot");
        assertThat(folder.resolve("plots")).doesNotExist();
    }
}
