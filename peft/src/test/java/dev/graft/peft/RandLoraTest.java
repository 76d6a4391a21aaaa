package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.Golden;
import dev.graft.models.ModelLoader;
import dev.graft.nn.Parameter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// RandLoRA's random matrices and its files.
class RandLoraTest {
    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"llama-gqa-tied", "bloom-h4", "gptj"})
    void matricesFollowFromTheSeedToTheBit(String base) {
        String golden = "peft/" + base + "/randlora";
        try (CausalLm model = ModelLoader.load(Golden.path("models/" + base));
                Peft peft = Peft.load(model, Golden.path(golden))) {
            peft.add("drawn", Adapters.read(Golden.path(golden)), 5);
            for (String name : List.of("base_model.randlora_A", "base_model.randlora_B")) {
                assertThat(values(peft, "drawn", name)).isEqualTo(values(peft, Peft.DEFAULT, name));
            }
        }
    }

    /// Numbers that PEFT 0.21.0 drew with seed 7.
    @Test
    void sparseMatricesFollowFromTheSeed() {
        try (CausalLm model = Tiny.llama()) {
            Adapter adapter = Adapters.of("randlora", Map.of("r", 3, "projection_prng_key", 7));
            try (Peft sparse = Peft.attach(model, adapter.with("sparse", true))) {
                assertThat(values(sparse, Peft.DEFAULT, "base_model.randlora_A")).startsWith(0, 0, 0, 0, 0, 0, 0, 0, 0, 1.886210322380066f,
                        1.886210322380066f, 0);
                assertThat(values(sparse, Peft.DEFAULT, "base_model.randlora_B")).startsWith(0, 0, 0, -1.789745569229126f, 0);
            }
            try (Peft sparse = Peft.attach(model, adapter.with("very_sparse", true))) {
                assertThat(values(sparse, Peft.DEFAULT, "base_model.randlora_B")).startsWith(0, 0, 0, -2.134091854095459f, 0);
            }
            assertThatThrownBy(() -> adapter.with("sparse", true).with("very_sparse", true)).hasMessageContaining("set one of them");
        }
    }

    /// PEFT writes the matrices below every layer, too; what is no copy has no place.
    @Test
    void copiesInAFileMustBeCopies() throws IOException {
        Path file = folder.resolve("adapter_model.safetensors");
        byte[] golden = Files.readAllBytes(Golden.path("peft/bloom-h4/randlora").resolve("adapter_model.safetensors"));
        Files.copy(Golden.path("peft/bloom-h4/randlora").resolve("adapter_config.json"), folder.resolve("adapter_config.json"));
        try (CausalLm model = ModelLoader.load(Golden.path("models/bloom-h4")); Peft peft = Peft.of(model)) {
            golden[8 + (int) ByteBuffer.wrap(golden).order(ByteOrder.LITTLE_ENDIAN).getLong()] ^= 1;   // the file's first tensor
            Files.write(file, golden);
            assertThatThrownBy(() -> peft.add("changed", folder)).hasMessageContaining("1 of its tensors have no place");
        }
    }

    @Test
    void aFileWithoutTheMatricesGivesTheSameAdapter() {
        try (CausalLm model = Tiny.llama();
                Peft peft = Peft.attach(model, Adapters.of("randlora", Map.of("r", 3, "save_projection", false)))) {
            Tiny.train(model, peft, 3, 0.01);
            float[] expected = Tiny.logits(model);
            peft.save(folder);
            peft.detach(Peft.DEFAULT);
            peft.add("again", folder);
            assertThat(peft.adapter("again").saved().keySet()).noneMatch(k -> k.contains("randlora_A"));
            assertThat(Tiny.logits(model)).isEqualTo(expected);
        }
    }

    private static float[] values(Peft peft, String adapter, String name) {
        Parameter p = peft.adapter(adapter).saved().get(name);
        return p.value().toFloats();
    }
}
