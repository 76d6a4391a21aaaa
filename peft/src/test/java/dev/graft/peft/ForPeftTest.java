package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelWriter;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.TensorSource;
import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/// What `docs/peft/compare.py` lets PEFT read: three tiny models, and every method that PEFT has, with its options, trained on each.
///
/// With `-Dgraft.peft.folders=DIR` the folders stay: `DIR/<base>/model`, and `DIR/<base>/<case>` with the adapter as it is saved and `io.safetensors`
/// with `input_ids`, `attention_mask`, `logits` and `trainable` (how many numbers were trained).
class ForPeftTest {
    /// The three architectures, and their names for the same places.
    private enum Base {
        /// No bias at o_proj, which PEFT would add once more with LLaMA-Adapter.
        LLAMA(() -> Tiny.llama(Map.of("attention_bias", false, "mlp_bias", true)), "embed_tokens", "q_proj", "v_proj", "down_proj",
                "layers"),
        BLOOM(Tiny::bloom, "word_embeddings", "query_key_value", "dense_h_to_4h", "dense_4h_to_h", "h"),
        GPTJ(Tiny::gptj, "wte", "q_proj", "v_proj", "fc_out", "h");

        final Supplier<CausalLm> model;
        final String embedding, query, other, closing, blocks;

        Base(Supplier<CausalLm> model, String embedding, String query, String other, String closing, String blocks) {
            this.model = model;
            this.embedding = embedding;
            this.query = query;
            this.other = other;
            this.closing = closing;
            this.blocks = blocks;
        }

        @Override
        public String toString() {
            return name().toLowerCase(java.util.Locale.ROOT);
        }
    }

    private record Variant(String method, String name, Function<Base, Map<String, ?>> fields) {
        Variant(String method, String name, Map<String, ?> fields) {
            this(method, name, _ -> fields);
        }
    }

    private static final List<Variant> VARIANTS = List.of(
            new Variant("lora", "rslora", Map.of("r", 3, "use_rslora", true)),
            new Variant("lora", "dropout", Map.of("r", 3, "lora_dropout", 0.2)),
            new Variant("lora", "gaussian", Map.of("r", 3, "init_lora_weights", "gaussian")),
            new Variant("lora", "orthogonal", Map.of("r", 4, "init_lora_weights", "orthogonal")),
            new Variant("lora", "pissa", Map.of("r", 3, "init_lora_weights", "pissa")),
            new Variant("lora", "olora", Map.of("r", 3, "init_lora_weights", "olora")),
            new Variant("lora", "lora_bias", Map.of("r", 3, "lora_bias", true)),
            new Variant("lora", "bias all", Map.of("r", 3, "bias", "all")),
            new Variant("lora", "bias lora_only", Map.of("r", 3, "bias", "lora_only")),
            new Variant("lora", "modules_to_save head", Map.of("r", 3, "modules_to_save", List.of("lm_head"))),
            new Variant("lora", "modules_to_save embedding", b -> Map.of("r", 3, "modules_to_save", List.of(b.embedding))),
            new Variant("lora", "embedding", b -> Map.of("r", 3, "target_modules", List.of(b.embedding, b.query))),
            new Variant("lora", "all-linear", b -> Map.of("r", 3, "target_modules", "all-linear", "exclude_modules", List.of(b.closing))),
            new Variant("lora", "regular expression", b -> Map.of("r", 3, "target_modules", ".*\\.1\\..*" + b.query)),
            new Variant("lora", "layers",
                    b -> Map.of("r", 3, "target_modules", List.of(b.query, b.other), "layers_to_transform", List.of(1),
                            "layers_pattern", List.of(b.blocks))),
            new Variant("lora", "patterns", b -> Map.of("r", 3, "target_modules", List.of(b.query, b.other, b.closing),
                    "rank_pattern", Map.of(b.query, 2, "1\\..*" + b.closing, 5), "alpha_pattern", Map.of(b.other, 5.0))),
            new Variant("dora", "all-linear rslora", Map.of("r", 3, "target_modules", "all-linear", "use_rslora", true)),
            new Variant("dora", "bias all", Map.of("r", 3, "bias", "all")),
            new Variant("loha", "patterns", b -> Map.of("r", 3, "rank_pattern", Map.of(b.query, 2), "alpha_pattern", Map.of(b.query, 5.0))),
            new Variant("loha", "wide", Map.of("r", 8, "target_modules", "all-linear")),
            new Variant("lokr", "full factors", Map.of("r", 8, "target_modules", "all-linear")),
            new Variant("lokr", "decompose_both", Map.of("r", 1, "decompose_both", true, "target_modules", "all-linear")),
            new Variant("lokr", "decompose_factor", Map.of("r", 2, "alpha", 6, "decompose_factor", 2, "target_modules", "all-linear")),
            new Variant("lokr", "lycoris", Map.of("r", 2, "init_weights", "lycoris")),
            new Variant("vera", "without projections", Map.of("r", 5, "save_projection", false, "projection_prng_key", 7)),
            new Variant("vera", "all-linear without projections",
                    Map.of("r", 6, "save_projection", false, "target_modules", "all-linear", "d_initial", 0.3)),
            new Variant("vera", "bias all", Map.of("r", 5, "bias", "all")),
            new Variant("randlora", "all-linear", Map.of("r", 4, "randlora_alpha", 30, "target_modules", "all-linear")),
            new Variant("randlora", "without projections", Map.of("r", 3, "save_projection", false, "projection_prng_key", 7)),
            new Variant("randlora", "sparse", Map.of("r", 3, "save_projection", false, "sparse", true)),
            new Variant("randlora", "very_sparse", Map.of("r", 3, "save_projection", false, "very_sparse", true)),
            new Variant("fourierft", "seed and scaling", Map.of("n_frequency", 37, "random_loc_seed", 5, "scaling", 40.0)),
            new Variant("fourierft", "all-linear", b -> Map.of("n_frequency", 79, "random_loc_seed", 12345, "target_modules", "all-linear",
                    "n_frequency_pattern", Map.of(b.closing, 53))),
            new Variant("hira", "default r", Map.of()),
            new Variant("hira", "all-linear", Map.of("r", 4, "target_modules", "all-linear")),
            new Variant("miss", "uneven", Map.of("r", 7, "bias", "all", "target_modules", "all-linear")),
            new Variant("ia3", "feedforward_modules", b -> Map.of("target_modules", List.of(b.query, b.other, b.closing),
                    "feedforward_modules", List.of(b.other))),
            new Variant("hra", "odd r", Map.of("r", 3, "bias", "all")),
            new Variant("oft", "default block size", Map.of()),
            new Variant("oft", "blocks by number", Map.of("r", 4, "oft_block_size", 0, "bias", "all")),
            new Variant("oft", "shared block", Map.of("oft_block_size", 4, "block_share", true, "target_modules", "all-linear")),
            new Variant("oft", "Cayley", Map.of("oft_block_size", 4, "use_cayley_neumann", false)),
            new Variant("oft", "three terms", Map.of("oft_block_size", 4, "num_cayley_neumann_terms", 3)),
            new Variant("oft", "coft", Map.of("oft_block_size", 4, "coft", true, "eps", 0.01)),
            new Variant("boft", "default block size", Map.of()),
            new Variant("boft", "blocks by number", Map.of("boft_block_size", 0, "boft_block_num", 2, "bias", "boft_only")),
            new Variant("road", "road_2", Map.of("variant", "road_2", "group_size", 4)),
            new Variant("road", "road_4", Map.of("variant", "road_4", "group_size", 4)),
            new Variant("ln-tuning", "last norm", b -> Map.of("target_modules", List.of(b == Base.LLAMA ? "norm" : "ln_f"))),
            new Variant("p-tuning", "LSTM",
                    Map.of("num_virtual_tokens", 5, "encoder_reparameterization_type", "LSTM", "encoder_hidden_size", 15)),
            new Variant("prefix", "projection", Map.of("num_virtual_tokens", 3, "prefix_projection", true, "encoder_hidden_size", 6)));

    @TempDir
    private static Path temporary;

    private static Path folder(String first, String... more) {
        String kept = System.getProperty("graft.peft.folders");
        return (kept == null ? temporary : Path.of(kept)).resolve(Path.of(first, more));
    }

    private record Written(Base base, String name, Adapter adapter) {
    }

    private static Stream<Written> all() {
        return Arrays.stream(Base.values()).flatMap(base -> Stream.concat(
                AdapterContractTest.CASES.stream().filter(c -> Adapters.named(c.method()).isPeft())
                        .filter(c -> base == Base.LLAMA || !c.method().equals("llama-adapter"))      // which PEFT has for LLaMA alone
                        .map(c -> new Written(base, c.method(),
                                c.method().equals("adalora") ? c.adapter().with("total_step", 10) : c.adapter())), // as of a run of ten steps
                VARIANTS.stream().map(v -> new Written(base, v.method + ", " + v.name, Adapters.of(v.method, v.fields.apply(base))))));
    }

    @TestFactory
    Stream<DynamicTest> everythingIsTrainedSavedAndReadAgain() {
        for (Base base : Base.values()) {
            try (CausalLm model = base.model.get()) {
                ModelWriter.save(model, folder(base.toString(), "model"));
            }
        }
        return all().map(w -> DynamicTest.dynamicTest(w.name + " on " + w.base, () -> {
            Path folder = folder(w.base.toString(), w.name);
            float[] logits;
            try (CausalLm model = w.base.model.get()) {
                try (Peft peft = Peft.attach(model, w.adapter, 11)) {
                    List<float[]> start = values(peft);
                    Tiny.train(model, peft, 5, 0.02);
                    List<Parameter> parameters = peft.parameters();
                    for (int i = 0; i < start.size(); i++)
                        assertThat(parameters.get(i).value().toFloats()).as(parameters.get(i).name()).isNotEqualTo(start.get(i));
                    logits = Tiny.logits(model);
                    peft.save(folder);
                    write(folder.resolve("io.safetensors"), logits, model.config().vocab(), peft.counts().trainable());
                }
                try (Peft _ = Peft.load(model, folder)) {
                    assertThat(Tiny.logits(model)).isEqualTo(logits);
                }
            }
        }));
    }

    private static List<float[]> values(Peft peft) {
        return peft.parameters().stream().map(p -> p.value().toFloats()).toList();
    }

    private static void write(Path file, float[] logits, int vocab, long trainable) {
        List<TensorSource> tensors = new ArrayList<>();
        tensors.add(longs("input_ids", Tiny.IDS));
        tensors.add(longs("attention_mask", Tiny.MASK));
        tensors.add(new TensorSource("trainable", dev.graft.models.io.StoredType.of(DType.I64), Shape.of(1),
                () -> MemorySegment.ofArray(new long[] {trainable})));
        MemorySegment bytes = MemorySegment.ofArray(logits);
        tensors.add(TensorSource.of("logits", DType.F32, Shape.of(Tiny.IDS.length, Tiny.IDS[0].length, vocab), bytes));
        Safetensors.write(file, tensors);
    }

    private static TensorSource longs(String name, int[][] rows) {
        long[] values = Arrays.stream(rows).flatMapToInt(Arrays::stream).asLongStream().toArray();
        return TensorSource.of(name, DType.I64, Shape.of(rows.length, rows[0].length), MemorySegment.ofArray(values));
    }
}
