package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.peft.scaling.JointLaw;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `scaling`: laws from the files that `pretrain` and `study` write.
class ScalingTest extends CommandTest {
    @TempDir
    Path folder;

    private int scaling(Object... args) {
        return graft(join(new Object[] {"scaling"}, args));
    }

    @Test
    void widthsForetellTheNext() throws IOException {
        double[] millions = {202.67, 8.82, 22.36, 40.61, 63.59, 91.28, 123.69, 160.82};
        double[] losses = {3.98, 4.52, 4.25, 4.16, 4.10, 4.04, 4.01, 4.00};
        List<Object> args = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            Path file = folder.resolve("w" + i + ".json");
            Json.write(file, Map.of("parameters", Math.round(millions[i] * 1e6), "held_out_loss", losses[i]));
            args.add(file);
        }
        args.addAll(List.of("--hold-out", 1, "--output", folder.resolve("law"), "--predict", 1e9));
        assertThat(scaling(args.toArray())).as(err.toString()).isZero();
        assertThat(out.toString()).contains("L(C) = ", "C^-0.51", "+ 3.84",
                "held out: parameters 202,670,000, loss 3.9800, foretold 3.9794 (-0.02 %)",
                "foretold at [1,000,000,000]: 3.9049");
        JsonObject json = Json.read(folder.resolve("law/scaling.json"));
        assertThat(json.requireObject("constants").requireDouble("b")).isCloseTo(-0.5176, within(1e-3));
        assertThat(json.requireDouble("error_held_out")).isLessThan(0.001);
        assertThat(ImageIO.read(folder.resolve("law/scaling.png").toFile()).getWidth()).isEqualTo(1000);
    }

    /// What is not of the method, has failed, or was not trained, is passed over.
    @Test
    void aStudysRunsGiveAJointLaw() throws IOException {
        JointLaw made = new JointLaw(40, 0.15, 0.22, 0.8);
        List<String> lines = new ArrayList<>();
        for (double x : new double[] {1e3, 4e3, 16e3, 64e3}) {
            for (double d : new double[] {100, 300, 900}) {
                lines.add(line("lora", x, d, made.at(x, d)));
                lines.add(line("ia3", x, d, 7));
            }
        }
        lines.add("{\"cell\": \"a\", \"method\": \"lora\", \"error\": \"the loss is NaN\"}");
        lines.add("{\"cell\": \"b\", \"method\": \"none\", \"learning_rate\": null}");
        Path results = Files.write(folder.resolve("results.jsonl"), lines);
        assertThat(
                scaling(results, "--size", "trainable_parameters", "--data", "settings.training.steps", "--loss", "final_loss", "--where",
                        "method=lora", "--hold-out", 2, "--output", folder.resolve("law")))
                .as(err.toString()).isZero();
        JsonObject constants = Json.read(folder.resolve("law/scaling.json")).requireObject("constants");
        assertThat(constants.requireDouble("alpha")).isCloseTo(0.15, within(1e-3));
        assertThat(constants.requireDouble("beta")).isCloseTo(0.22, within(1e-3));
        assertThat(out.toString()).contains("on the 10 runs it was fitted to: 0.00 %",
                "held out: trainable_parameters 64,000, settings.training.steps 900");
        assertThat(folder.resolve("law/scaling.png")).isNotEmptyFile();
    }

    /// As the documentation has it: a study for each amount of data.
    @Test
    void studiesWithAValidationSetAreReadAsTheyAre() throws IOException {
        TinyModel.model(folder.resolve("llama"));
        List<Object> args = new ArrayList<>();
        Map<Long, Map<Double, Double>> heldOut = new LinkedHashMap<>();
        for (long steps : new long[] {2, 6}) {
            Path config = Files.writeString(folder.resolve("study.json"), """
                    {"models": {"llama": "llama"}, "train": {"word_problems": 40}, "validation": {"word_problems": 7, "seed": 2},
                     "tests": {"sums": {"word_problems": 1, "max_new_tokens": 1}},
                     "methods": {"none": {}, "lora": {"sizes": [{"r": 1}, {"r": 3}]}}, "learning_rates": [0.01], "seeds": [1],
                     "training": {"steps": %d, "batch_size": 4}, "template": "short", "cutoff_len": 128, "evaluation": {"beams": 1}}"""
                    .formatted(steps));
            Path output = folder.resolve("steps-" + steps);
            assertThat(graft("study", "--config", config, "--output", output)).as(err.toString()).isZero();
            args.add(output.resolve("results.jsonl"));
            Map<Double, Double> losses = new LinkedHashMap<>();
            for (String line : Files.readAllLines(output.resolve("results.jsonl"))) {
                JsonObject run = Json.parse(line, "line");
                if (run.requireString("method").equals("none")) continue;
                JsonObject trained = Json.read(output.resolve("cells").resolve(run.requireString("cell")).resolve("training.json"));
                losses.put(run.requireDouble("trainable_parameters"), trained.requireDouble("best_validation_loss"));
                assertThat(run.requireDouble("held_out_loss")).isNotEqualTo(run.requireDouble("final_loss"));
            }
            heldOut.put(4 * steps, losses);
        }
        args.addAll(List.of("--size", "trainable_parameters", "--data", "examples", "--where", "method=lora", "--output",
                folder.resolve("law")));
        assertThat(scaling(args.toArray())).as(err.toString()).isZero();
        List<JsonObject> runs = Json.read(folder.resolve("law/scaling.json")).optObjects("runs").orElseThrow();
        assertThat(runs).hasSize(4);
        for (JsonObject run : runs)
            assertThat(run.requireDouble("loss")).isEqualTo(heldOut.get((long) run.requireDouble("data")).get(run.requireDouble("size")));
        assertThat(out.toString()).contains("on the 4 runs it was fitted to").contains("L(X, D) = ");
    }

    @Test
    void severalSizesAreOneLaw() throws IOException {
        JointLaw made = new JointLaw(60, List.of(0.25, 0.04), 0.18, 0.7);
        List<String> lines = new ArrayList<>();
        for (double model : new double[] {2e5, 5e5, 9e5})
            for (double adapter : new double[] {1e3, 9e3})
                for (double d : new double[] {800, 3200})
                    lines.add(Json.line(Map.of("m", model, "p", adapter, "d", d, "held_out_loss", made.at(List.of(model, adapter), d))));
        Path results = Files.write(folder.resolve("all.jsonl"), lines), law = folder.resolve("law");
        assertThat(scaling(results, "--size", "m,p", "--data", "d", "--hold-out", 1, "--predict", "1e6,1e4,6400", "--output", law))
                .as(err.toString()).isZero();
        assertThat(out.toString()).contains("L(X₁, X₂, D) = ", "held out: m 900,000, p 9,000, d 3,200, loss ",
                "foretold at [1,000,000, 10,000, 6,400]: %.4f".formatted(made.at(List.of(1e6, 1e4), 6400)));
        JsonObject json = Json.read(law.resolve("scaling.json"));
        assertThat(json.toMap().get("size")).isEqualTo(List.of("m", "p"));
        assertThat((List<?>) json.requireObject("constants").toMap().get("alpha")).hasSize(2);
        assertThat(ImageIO.read(law.resolve("scaling.png").toFile()).getWidth()).isEqualTo(1000);
        assertThat(scaling(results, "--size", "m,p")).isEqualTo(2);
        assertThat(err.toString()).contains("several --size, [m, p], are of the joint law, which needs --data");
        assertThat(scaling(results, "--size", "m,p", "--data", "d", "--predict", "1,2")).isEqualTo(2);
        assertThat(err.toString()).contains("--predict takes 2 sizes and an amount of data, got [1.0, 2.0]");
    }

    private static String line(String method, double x, double d, double loss) {
        Map<String, Object> line = new LinkedHashMap<>(Map.of("method", method, "trainable_parameters", x, "final_loss", loss));
        line.put("settings", Map.of("training", Map.of("steps", d)));
        return Json.line(line);
    }

    @Test
    void mistakesAreNamed() throws IOException {
        Path one = folder.resolve("one.json");
        Json.write(one, Map.of("parameters", 5, "held_out_loss", 2.0));
        assertThat(scaling(one)).isEqualTo(1);
        assertThat(err.toString()).contains("at least three sizes, got 1");
        assertThat(scaling(one, "--loss", "lost")).isEqualTo(1);
        assertThat(err.toString()).contains("holds the numbers [parameters, lost]");
        assertThat(scaling(one, "--hold-out", 1)).isEqualTo(2);
        assertThat(err.toString()).contains("--hold-out 1 leaves none of 1 runs to fit");
        assertThat(scaling(folder.resolve("none.json"))).isEqualTo(2);
        assertThat(err.toString()).contains("there is no file");
        assertThat(scaling(one, "--predict", "1,2")).isEqualTo(2);
        assertThat(err.toString()).contains("--predict takes a size, got [1.0, 2.0]");
    }
}
