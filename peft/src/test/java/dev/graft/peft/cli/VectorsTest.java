package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.Adapter;
import dev.graft.peft.Adapters;
import dev.graft.peft.Peft;
import dev.graft.peft.Scales;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `inspect vectors`: numbers are those of the library, pictures are there in both forms.
class VectorsTest extends CommandTest {
    private static final List<String> PROMPTS = List.of("Ann has 3 apples.", "How many are left?",
            "Tom & <Sue> buy 12 pears and give 5 away.");

    @TempDir
    private Path folder;

    private int vectors(Object... args) {
        return graft(join(new Object[] {"inspect", "vectors"}, args));
    }

    private Path adapter(Path model, Adapter adapter) {
        Path own = folder.resolve("adapter");
        try (CausalLm loaded = ModelLoader.load(model); Peft peft = Peft.attach(loaded, adapter, 1); var _ = Scope.untracked()) {
            peft.parameters()
                    .forEach(p -> p.value().assign(p.value().add(Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(0.1))));
            peft.save(own);
        }
        return own;
    }

    @Test
    void pedrosAreDrawn() throws Exception {
        Path model = TinyModel.model(folder.resolve("model")), adapter = adapter(model, Adapters.of("pedro", Map.of("r", 3)));
        Path texts = Files.write(folder.resolve("texts"), PROMPTS.subList(1, 3)), output = folder.resolve("out");
        assertThat(vectors("--model", model, "--adapter", adapter, "--prompts", texts, "--output", output, PROMPTS.getFirst()))
                .as(err.toString()).isZero();
        try (Checkpoint found = Checkpoint.open(output.resolve("vectors.safetensors"));
                CausalLm loaded = ModelLoader.load(model);
                Peft peft = Peft.load(loaded, adapter);
                Tokenizer tokenizer = Tokenizer.load(model);
                var _ = Scope.open()) {
            List<String> names = new ArrayList<>(List.of("distances", "activations.x", "layers.0.activation", "layers.1.activation"));
            for (int p = 0; p < 3; p++) {
                for (Scales s : peft.scales(Peft.DEFAULT, Inputs.of(new int[][] {tokenizer.encode(PROMPTS.get(p), true)}))) {
                    String name = "layers." + s.block() + "." + s.part();
                    names.add(name);
                    float[] all = floats(found, name);
                    int width = s.values()[0].length;
                    GoldenTensors.check(name, Arrays.copyOfRange(all, p * width, (p + 1) * width), s.values()[0], 1e-6);
                }
            }
            assertThat(found.entries().keySet()).containsExactlyInAnyOrderElementsOf(names.stream().distinct().toList());
            float[] distances = floats(found, "distances"), q = floats(found, "layers.0.q");
            assertThat(distances).hasSize(9);
            assertThat(distances[0]).isZero();
            assertThat(distances[1]).isGreaterThan(1e-3f).isEqualTo(distances[3]);
            assertThat(q).hasSize(3 * 16);
            float[] x = floats(found, "activations.x"), y = floats(found, "layers.1.activation");
            double[] a = doubles(peft, "numerator"), b = doubles(peft, "denominator");
            for (int i = 0; i < x.length; i++) {
                double p = 0, s = 0;
                for (int j = 0; j < a.length; j++) p += a[j] * Math.pow(x[i], j);
                for (int j = 0; j < b.length; j++) s += b[j] * Math.pow(x[i], j + 1);
                assertThat((double) y[i]).isCloseTo(p / (1 + Math.abs(s)), org.assertj.core.data.Offset.offset(2e-4));
            }
        }
        drawn(output, "vectors", "distances", "moving", "activations");
        assertThat(Files.readString(output.resolve("vectors.svg"))).contains("Tom &amp; &lt;Sue&gt; buy", "q, 16 numbers", "u, 24 numbers");
        assertThat(out.toString()).contains("distances between prompts", "the numbers that move most", "layer ");
    }

    @Test
    void oneOfIa3IsDrawn() throws Exception {
        Path model = TinyModel.model(folder.resolve("model")), adapter = adapter(model, Adapters.of("ia3", Map.of())),
                output = folder.resolve("out");
        assertThat(vectors("--model", model, "--adapter", adapter, "--output", output, PROMPTS.getFirst())).as(err.toString()).isZero();
        try (Checkpoint found = Checkpoint.open(output.resolve("vectors.safetensors"));
                Checkpoint saved = Checkpoint.open(adapter.resolve("adapter_model.safetensors"))) {
            assertThat(found.entries().keySet()).containsExactlyInAnyOrder("layers.0.k", "layers.0.v", "layers.0.d.input", "layers.1.k",
                    "layers.1.v",
                    "layers.1.d.input", "distances");
            assertThat(floats(found, "layers.1.d.input")).isEqualTo(floats(saved, "base_model.model.model.layers.1.mlp.down_proj.ia3_l"));
        }
        drawn(output, "vectors", "moving");
        assertThat(output.resolve("distances.png")).doesNotExist();
        assertThat(out.toString()).contains("the numbers farthest from 1");
    }

    @Test
    void whichAreScaledAndByWhatIsAListOnTheCommandLine() throws IOException {
        Path model = TinyModel.model(folder.resolve("model"));
        assertThat(graft("inspect", "--model", model, "--method", "pedro", "--r", 3, "--scaled", "q,u", "--non-linearity", "gelu,relu"))
                .as(err.toString()).isZero();
        assertThat(out.toString()).contains("%,d trainable parameters".formatted(2 * (3 * (16 + 16 + 24) + 16 + 24)));
    }

    @Test
    void whatCannotBeIsSaid() throws IOException {
        Path model = TinyModel.model(folder.resolve("model")), adapter = adapter(model, Adapters.of("lora", Map.of("r", 2))),
                output = folder.resolve("out");
        assertThat(vectors("--model", model, "--adapter", adapter, "--output", output, "x")).isEqualTo(1);
        assertThat(err.toString()).contains("LORA scales nothing, so it has no vectors; (IA)³ and PEDRO have").doesNotContain("\tat ");
        assertThat(vectors("--model", model, "--output", output, "x")).isEqualTo(2);
        assertThat(err.toString()).contains("give one --adapter");
        assertThat(vectors("--model", model, "--adapter", adapter, "--output", output)).isEqualTo(2);
        assertThat(err.toString()).contains("there is no prompt");
        assertThat(output).doesNotExist();
    }

    private static void drawn(Path folder, String... names) throws Exception {
        for (String name : names) {
            var image = ImageIO.read(folder.resolve(name + ".png").toFile());
            var svg = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(folder.resolve(name + ".svg").toFile())
                    .getDocumentElement();
            assertThat(image.getWidth()).isEqualTo(2 * Integer.parseInt(svg.getAttribute("width")));
            assertThat(image.getHeight()).isEqualTo(2 * Integer.parseInt(svg.getAttribute("height")));
            assertThat(Arrays.stream(image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth())).distinct().count())
                    .as(name).isGreaterThan(20);
        }
    }

    private static double[] doubles(Peft peft, String of) {
        return peft.adapter(Peft.DEFAULT).parameter("model.layers.1.pedro.act." + of).value().to(DType.F64).toDoubles();
    }

    private static float[] floats(Checkpoint file, String name) {
        var entry = file.require(name);
        float[] values = new float[(int) entry.shape().size()];
        entry.read(DType.F32, java.lang.foreign.MemorySegment.ofArray(values));
        return values;
    }
}
