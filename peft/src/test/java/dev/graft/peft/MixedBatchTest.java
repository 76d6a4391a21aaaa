package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.generate.FinishReason;
import dev.graft.models.generate.Generation;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.GenerationConfig.EarlyStopping;
import dev.graft.models.generate.GenerationConfig.LengthNorm;
import dev.graft.models.generate.Generator;
import dev.graft.models.generate.Session;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.HostMemory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Rows with adapters of all kinds in one batch, coming and going, against each row by itself.
class MixedBatchTest {
    private static final Map<String, Supplier<CausalLm>> MODELS = Map.of("llama", Tiny::llama, "bloom", Tiny::bloom, "gptj", Tiny::gptj);
    private static final double TOLERANCE = 2e-5;                                // of the largest logit

    @TempDir
    Path folder;

    /// A prompt with how it goes on.
    private record Text(int[] prompt, int[] more) {
        static Text draw(Random random) {
            return new Text(random.ints(1 + random.nextInt(6), 0, 29).toArray(), random.ints(7, 0, 29).toArray());
        }
    }

    /// An adapter of every method, and LoRAs of other ranks, saved; none of them as it started.
    private Map<String, Path> adapters(CausalLm model) {
        Map<String, Adapter> all = new LinkedHashMap<>();
        AdapterContractTest.CASES.forEach(c -> all.put(c.method(), c.adapter()));
        all.put("lora-1", Adapters.of("lora", Map.of("r", 1, "lora_alpha", 3)));
        all.put("lora-5", Adapters.of("lora", Map.of("r", 5, "target_modules", "all-linear", "use_rslora", true)));
        all.put("lora-bias", Adapters.of("lora", Map.of("r", 2, "lora_bias", true, "target_modules", "mlp")));
        all.put("lora-head",
                Adapters.of("lora", Map.of("r", 2, "modules_to_save", List.of(model.config().modelType().equals("gptj") ? "lm_head"
                        : model.config().modelType().equals("bloom") ? "ln_f" : "norm"))));
        Map<String, Path> folders = new LinkedHashMap<>();
        all.forEach((name, adapter) -> folders.put(name, save(model, name, adapter)));
        return folders;
    }

    private Path save(CausalLm model, String name, Adapter adapter) {
        Path own = folder.resolve(name);
        try (Peft peft = Peft.attach(model, adapter, name.hashCode())) {
            try (var _ = Scope.untracked()) {
                peft.parameters()
                        .forEach(p -> p.value().assign(p.value().add(Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(0.1))));
            }
            peft.save(own);
        }
        return own;
    }

    /// The logits after the prompt and after each further token, of a row by itself, the adapter being the only one there is.
    private static List<float[]> alone(CausalLm model, Path adapter, Text text) {
        List<float[]> logits = new ArrayList<>();
        try (Peft _ = adapter == null ? Peft.of(model) : Peft.load(model, adapter); Session session = model.open(List.of(text.prompt), 8)) {
            logits.add(session.logits()[0]);
            for (int id : text.more) {
                session.advance(new int[] {id});
                logits.add(session.logits()[0]);
            }
        }
        return logits;
    }

    private static final class Row {
        final String adapter;
        final int text;
        int step;

        Row(String adapter, int text) {
            this.adapter = adapter;
            this.text = text;
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "bloom", "gptj"})
    void everyRowIsAsIfItWereAlone(String architecture) {
        Random random = new Random(architecture.hashCode());
        try (CausalLm model = MODELS.get(architecture).get()) {
            Map<String, Path> folders = adapters(model);
            List<Text> texts = IntStream.range(0, 5).mapToObj(_ -> Text.draw(random)).toList();
            Map<String, List<List<float[]>>> wanted = new HashMap<>();
            wanted.put(null, texts.stream().map(t -> alone(model, null, t)).toList());
            folders.forEach((name, path) -> wanted.put(name, texts.stream().map(t -> alone(model, path, t)).toList()));
            List<String> names = new ArrayList<>(folders.keySet());
            names.add(null);
            long before = HostMemory.shared().stats().live();
            try (AdapterBank bank = new AdapterBank(model, 1 << 20)) {
                folders.forEach(bank::register);
                for (int batch = 0; batch < 70; batch++) live(model, bank, names, texts, wanted, random);
                assertThat(bank.stats().inUse()).isEmpty();
                assertThat(bank.stats().bytes()).isLessThan(1 << 20);
            }
            assertThat(HostMemory.shared().stats().live()).isEqualTo(before);
        }
    }

    /// A batch from its first row to its last: some come with it, some join later, each leaves at its time.
    private static void live(CausalLm model, AdapterBank bank, List<String> names, List<Text> texts,
            Map<String, List<List<float[]>>> wanted,
            Random random) {
        List<Row> rows = draw(names, texts, 1 + random.nextInt(6), random);
        try (AdapterBank.Rows session = bank.open(prompts(rows, texts), rows.stream().map(r -> r.adapter).toList(), 7)) {
            for (int step = 0; !rows.isEmpty(); step++) {
                float[][] logits = session.logits();
                assertThat(logits.length).isEqualTo(rows.size());
                for (int b = 0; b < rows.size(); b++) {
                    Row row = rows.get(b);
                    check(row, logits[b], wanted.get(row.adapter).get(row.text).get(row.step));
                }
                if (step < 5 && random.nextInt(3) == 0) {
                    List<Row> more = draw(names, texts, 1 + random.nextInt(3), random);
                    session.join(prompts(more, texts), more.stream().map(r -> r.adapter).toList(), 7);
                    rows.addAll(more);
                    continue;
                }
                List<Integer> going = new ArrayList<>();
                for (int b = 0; b < rows.size(); b++) if (rows.get(b).step < 7 && random.nextInt(6) > 0) going.add(b);
                if (random.nextInt(3) == 0) Collections.shuffle(going, random);
                session.reorder(going.stream().mapToInt(Integer::intValue).toArray());
                rows = new ArrayList<>(going.stream().map(rows::get).toList());
                if (rows.isEmpty()) break;
                session.advance(rows.stream().mapToInt(r -> texts.get(r.text).more[r.step++]).toArray());
            }
        }
    }

    private static List<Row> draw(List<String> names, List<Text> texts, int count, Random random) {
        return new ArrayList<>(IntStream.range(0, count)
                .mapToObj(_ -> new Row(names.get(random.nextInt(names.size())), random.nextInt(texts.size()))).toList());
    }

    private static List<int[]> prompts(List<Row> rows, List<Text> texts) {
        return rows.stream().map(r -> texts.get(r.text).prompt).toList();
    }

    private static void check(Row row, float[] got, float[] wanted) {
        double largest = 1;
        for (float w : wanted) largest = Math.max(largest, Math.abs(w));
        for (int i = 0; i < wanted.length; i++)
            assertThat((double) got[i]).as("%s, step %d, logit %d", row.adapter, row.step, i).isCloseTo(wanted[i],
                    org.assertj.core.data.Offset.offset(TOLERANCE * largest));
    }

    @Test
    void beamsAndDrawsAreThoseOfARowByItself() {
        try (CausalLm model = Tiny.llama()) {
            Map<String, Path> folders = adapters(model);
            List<String> names = Arrays.asList("lora", "prefix", null, "ia3", "series", "lora-5", "prompt", "unipelt", "pedro", "loreft");
            Random random = new Random(4);
            List<int[]> prompts = names.stream().map(_ -> Text.draw(random).prompt).toList();
            for (GenerationConfig config : List.of(
                    GenerationConfig.defaults().withMaxNewTokens(6).withBeams(3, 1, EarlyStopping.HEURISTIC, LengthNorm.GENERATED),
                    GenerationConfig.defaults().withMaxNewTokens(6).withEosIds(List.of(3, 4, 5, 6, 7)))) {
                List<int[]> alone = new ArrayList<>();
                for (int i = 0; i < names.size(); i++) {
                    try (Peft _ = names.get(i) == null ? Peft.of(model) : Peft.load(model, folders.get(names.get(i)))) {
                        alone.add(new Generator(model, config).generate(List.of(prompts.get(i))).getFirst().ids());
                    }
                }
                try (AdapterBank bank = new AdapterBank(model, 1 << 20)) {
                    folders.forEach(bank::register);
                    List<Generation> together = new Generator(bank.with(names), config).generate(prompts);
                    for (int i = 0; i < names.size(); i++)
                        assertThat(together.get(i).ids()).as("%s", names.get(i)).isEqualTo(alone.get(i));
                    assertThat(together.stream().map(Generation::reason)).contains(FinishReason.LENGTH);
                }
            }
        }
    }

    @Test
    void theLeastRecentlyUsedGoesWhenRoomIsNeeded() {
        try (CausalLm model = Tiny.llama()) {
            Map<String, Path> folders = adapters(model);
            long one;
            try (Peft peft = Peft.load(model, folders.get("lora"))) {
                one = peft.adapter(Peft.DEFAULT).bytes();
            }
            try (AdapterBank bank = new AdapterBank(model, 2 * one)) {
                for (String name : List.of("a", "b", "c")) bank.register(name, folders.get("lora"));
                bank.load("a");
                bank.load("b");
                bank.load("a");
                bank.load("c");
                assertThat(bank.stats()).isEqualTo(new AdapterBank.Stats(List.of("a", "c"), List.of(), 2 * one, 2 * one, 3));
                try (AdapterBank.Rows rows = bank.open(List.of(new int[] {1}, new int[] {2}), List.of("b", "b"), 3)) {
                    assertThat(bank.stats().inMemory()).containsExactly("c", "b");
                    float[] before = rows.logits()[0].clone();
                    rows.join(List.of(new int[] {3}), List.of("a"), 3);
                    assertThat(bank.stats().inMemory()).containsExactly("b", "a");
                    assertThatThrownBy(() -> rows.join(List.of(new int[] {3}), List.of("c"), 3)).isInstanceOf(AdapterException.class)
                            .hasMessageContaining("'c' takes").hasMessageContaining("taken by adapters that rows have (b, a)");
                    assertThatThrownBy(() -> bank.unload("b")).isInstanceOf(AdapterException.class)
                            .hasMessageContaining("in use by 2 rows");
                    assertThat(rows.logits()[0]).isEqualTo(before);
                    assertThat(rows.size()).isEqualTo(3);
                    rows.advance(new int[] {1, 2, 3});
                    rows.reorder(new int[] {2});
                    bank.unload("b");
                    bank.load("c");
                    rows.advance(new int[] {1});
                }
                bank.unload("a");
                assertThat(bank.stats().inMemory()).containsExactly("c");
            }
        }
    }

    @Test
    void whatCannotBeIsSaid() {
        try (CausalLm model = Tiny.llama(); CausalLm other = Tiny.bloom(); AdapterBank bank = new AdapterBank(other, 1 << 20)) {
            Path lora = save(model, "lora", AdapterContractTest.CASES.getFirst().adapter());
            bank.register("llama's", lora);
            assertThatThrownBy(() -> bank.register("llama's", lora))
                    .hasMessageContaining("there is an adapter 'llama's' in the bank already");
            assertThatThrownBy(() -> bank.register("x", folder)).hasMessageContaining("is not an adapter");
            assertThatThrownBy(() -> bank.open(List.of(new int[] {1}), List.of(), 3))
                    .hasMessageContaining("1 prompts need as many adapters");
            try (AdapterBank.Rows rows = bank.open(List.of(new int[] {1}), Collections.singletonList(null), 3)) {
                assertThatThrownBy(() -> rows.join(List.of(new int[] {1}), List.of("y"), 3)).isInstanceOf(AdapterException.class)
                        .hasMessage("there is no adapter 'y' in the bank; there are [llama's]");
                assertThatThrownBy(() -> rows.join(List.of(new int[] {1}), List.of("llama's"), 3)).hasMessageContaining("q_proj");
                assertThatThrownBy(() -> rows.join(List.of(new int[] {1}, new int[0]), Arrays.asList(null, null), 3))
                        .hasMessageContaining("prompt 1 is empty");
                rows.advance(new int[] {4});
            }
            AdapterBank gone = new AdapterBank(other, 1 << 20);
            AdapterBank.Rows left = gone.open(List.of(new int[] {1}), Collections.singletonList(null), 3);
            gone.close();
            assertThatThrownBy(() -> left.advance(new int[] {4})).hasMessageContaining("the bank is closed");
            left.close();
            assertThatThrownBy(() -> bank.open(List.of(), List.of(), 3)).hasMessage("there is no prompt");
            Path fusion = folder.resolve("fusion");
            try (Peft peft = Peft.of(other)) {
                peft.add("one", Adapters.of("lora", Map.of("r", 2)), 1);
                peft.add("two", Adapters.of("lora", Map.of("r", 2)), 2);
                peft.fuse("both", List.of("one", "two"), 3);
                peft.save(fusion);
            }
            assertThatThrownBy(() -> bank.register("fusion", fusion.resolve("both")))
                    .hasMessageContaining("made of other adapters, [one, two]");
            assertThatThrownBy(() -> new AdapterBank(other, 0)).hasMessageContaining("above 0 bytes");
            assertThatThrownBy(() -> bank.open(List.of(new int[] {1}), List.of(), 3))
                    .hasMessageContaining("1 prompts need as many adapters");
        }
    }
}
