package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.generate.Generation;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.GenerationConfig.EarlyStopping;
import dev.graft.models.generate.GenerationConfig.LengthNorm;
import dev.graft.models.generate.Generator;
import dev.graft.peft.serve.Request;
import dev.graft.peft.serve.Serving;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.HostMemory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Requests of several tenants that come and go.
class ServingTest {
    private static final List<String> TENANTS = Arrays.asList("lora", "prefix", null, "pedro", "ia3", "series", "unipelt");

    @TempDir
    Path folder;
    private CausalLm model;

    @BeforeEach
    void save() {
        model = Tiny.llama();
        for (String name : TENANTS) {
            if (name == null) continue;
            Adapter adapter = AdapterContractTest.CASES.stream().filter(c -> c.method().equals(name)).findFirst().orElseThrow().adapter();
            try (Peft peft = Peft.attach(model, adapter, 3); var _ = Scope.untracked()) {
                peft.parameters().forEach(
                        p -> p.value().assign(p.value().add(Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(0.3))));
                peft.save(folder.resolve(name));
            }
        }
    }

    @AfterEach
    void close() {
        model.close();
    }

    private AdapterBank bank(long budget) {
        AdapterBank bank = new AdapterBank(model, budget);
        TENANTS.stream().filter(t -> t != null).forEach(t -> bank.register(t, folder.resolve(t)));
        return bank;
    }

    private Generation alone(Request r) {
        try (Peft _ = r.adapter() == null ? Peft.of(model) : Peft.load(model, folder.resolve(r.adapter()))) {
            return new Generator(model, r.config()).generate(List.of(r.prompt())).getFirst();
        }
    }

    private static Request draw(Random random) {
        GenerationConfig config = GenerationConfig.defaults().withMaxNewTokens(1 + random.nextInt(12)).withEosIds(List.of(3, 8));
        if (random.nextBoolean()) config = config.withSampling(1.3, 0, 0.95, random.nextInt(99));
        return new Request(TENANTS.get(random.nextInt(TENANTS.size())), random.ints(1 + random.nextInt(7), 0, 29).toArray(), config);
    }

    @Test
    void everyRequestGetsWhatItWouldGetAlone() throws Exception {
        Random random = new Random(5);
        List<Request> requests = IntStream.range(0, 60).mapToObj(_ -> draw(random)).toList();
        List<int[]> wanted = requests.stream().map(r -> alone(r).ids()).toList();
        long before = HostMemory.shared().stats().live();
        try (AdapterBank bank = bank(1 << 20); Serving serving = new Serving(bank, Optional.empty(), 5)) {
            serving.start();
            List<CompletableFuture<Generation>> answers = new ArrayList<>();
            for (Request r : requests) {
                answers.add(serving.submit(r));
                if (random.nextInt(4) == 0) Thread.sleep(random.nextInt(10));
            }
            for (int i = 0; i < requests.size(); i++)
                assertThat(answers.get(i).get(60, TimeUnit.SECONDS).ids()).as("request %d, %s", i, requests.get(i).adapter())
                        .isEqualTo(wanted.get(i));
        }
        assertThat(HostMemory.shared().stats().live()).isEqualTo(before);
    }

    private Path ofAnotherModel() {
        Path bloom = folder.resolve("bloom's");
        try (CausalLm other = Tiny.bloom(); Peft peft = Peft.attach(other, Adapters.of("lora", Map.of("r", 2)), 3)) {
            peft.save(bloom);
        }
        return bloom;
    }

    @Test
    void aRequestThatGoesWrongEndsAlone() {
        GenerationConfig config = GenerationConfig.defaults().withMaxNewTokens(6);
        List<Request> good = TENANTS.stream().map(t -> new Request(t, new int[] {4, 5, 6}, config)).toList();
        try (AdapterBank bank = bank(1 << 20); Serving serving = new Serving(bank, Optional.empty(), 20)) {
            List<CompletableFuture<Generation>> answers = new ArrayList<>();
            List<CompletableFuture<Generation>> bad = new ArrayList<>();
            for (int i = 0; i < good.size(); i++) {
                answers.add(serving.submit(good.get(i)));
                bad.add(serving.submit(switch (i) {
                    case 0 -> new Request("nobody's", new int[] {1}, config);
                    case 1 -> new Request("lora", new int[0], config);
                    case 2 -> new Request("lora", new int[] {1}, config.withBeams(2, 1, EarlyStopping.HEURISTIC, LengthNorm.GENERATED));
                    case 3 -> new Request("lora", new int[] {29}, config);
                    case 4 -> new Request("lora", new int[] {1}, config, (_, _, _) -> {
                        throw new AssertionError("the line is dead");
                    });
                    case 5 -> new Request("lora", new int[] {1}, config.withStopStrings(List.of("x")));
                    default -> new Request("lora", new int[] {1, 2, 3}, config);
                }));
            }
            bad.removeLast().cancel(false);
            bank.register("another model's", ofAnotherModel());
            bad.add(serving.submit(new Request("another model's", new int[] {1}, config)));
            serving.step();
            serving.step();
            CompletableFuture<Generation> late = serving.submit(new Request(null, new int[] {7}, config));
            serving.step();
            late.cancel(false);
            serving.run();
            for (int i = 0; i < good.size(); i++) assertThat(answers.get(i).join().ids()).isEqualTo(alone(good.get(i)).ids());
            List<String> said = List.of("there is no adapter 'nobody's'", "must have at least one token", "num_beams must be 1", "29",
                    "the line is dead", "need a tokenizer", "query_key_value");
            for (int i = 0; i < said.size(); i++) {
                var answer = bad.get(i);
                assertThatThrownBy(answer::join).hasStackTraceContaining(said.get(i));
            }
            assertThat(bank.stats().inUse()).isEmpty();
        }
    }

    @Test
    void aRequestWaitsForRoomInTheBank() {
        GenerationConfig config = GenerationConfig.defaults().withMaxNewTokens(6);
        long one;
        try (Peft peft = Peft.load(model, folder.resolve("lora"))) {
            one = peft.adapter(Peft.DEFAULT).bytes();
        }
        try (AdapterBank bank = new AdapterBank(model, one); Serving serving = new Serving(bank, Optional.empty(), 4)) {
            for (String name : List.of("a", "b", "c")) bank.register(name, folder.resolve("lora"));
            bank.register("large", folder.resolve("unipelt"));
            List<CompletableFuture<Generation>> answers = new ArrayList<>();
            for (String name : List.of("a", "b", "a", "c", "large", "b"))
                answers.add(serving.submit(new Request(name, new int[] {4, 5, 6}, config)));
            serving.run();
            int[] ids = alone(new Request("lora", new int[] {4, 5, 6}, config)).ids();
            for (int i : new int[] {0, 1, 2, 3, 5}) assertThat(answers.get(i).join().ids()).isEqualTo(ids);
            assertThat(bank.stats().loads()).as("not once a token").isLessThanOrEqualTo(8);
            assertThatThrownBy(answers.get(4)::join).hasCauseInstanceOf(AdapterBank.Full.class);
        }
    }

    @Test
    void adaptersComeAndGoWhileItDecodes() throws Exception {
        GenerationConfig config = GenerationConfig.defaults().withMaxNewTokens(40);
        Request lora = new Request("lora", new int[] {4, 5, 6}, config);
        int[] ids = alone(lora).ids();
        try (AdapterBank bank = bank(1 << 20); Serving serving = new Serving(bank, Optional.empty(), 3)) {
            serving.start();
            var first = serving.submit(lora);
            serving.withBank(b -> {
                b.register("another", folder.resolve("lora"));
                return null;
            }).get(60, TimeUnit.SECONDS);
            assertThat(serving.submit(new Request("another", new int[] {4, 5, 6}, config)).get(60, TimeUnit.SECONDS).ids()).isEqualTo(ids);
            assertThat(first.get(60, TimeUnit.SECONDS).ids()).isEqualTo(ids);
            assertThat(serving.withBank(b -> b.stats().inMemory()).get(60, TimeUnit.SECONDS)).containsExactly("lora", "another");
            var refused = serving.withBank(b -> {
                b.unload("nobody's");
                return null;
            });
            assertThatThrownBy(() -> refused.get(60, TimeUnit.SECONDS)).hasStackTraceContaining("there is no adapter 'nobody's'");
        }
    }

    @Test
    void aListenerMayCloseIt() throws Exception {
        GenerationConfig config = GenerationConfig.defaults().withMaxNewTokens(100);
        try (AdapterBank bank = bank(1 << 20)) {
            Serving serving = new Serving(bank, Optional.empty(), 3);
            serving.start();
            var answer = serving.submit(new Request("lora", new int[] {4}, config, (_, _, _) -> serving.close()));
            assertThatThrownBy(() -> answer.get(60, TimeUnit.SECONDS)).hasStackTraceContaining("it is closed");
            serving.close();
        }
    }

    @Test
    void closingEndsWhatIsUnderWay() {
        GenerationConfig config = GenerationConfig.defaults().withMaxNewTokens(100);
        try (AdapterBank bank = bank(1 << 20)) {
            CompletableFuture<Generation> answer, later;
            Serving serving = new Serving(bank, Optional.empty(), 1);
            answer = serving.submit(new Request("lora", new int[] {4}, config));
            later = serving.submit(new Request("lora", new int[] {4}, config));
            serving.step();
            serving.close();
            assertThatThrownBy(answer::join).hasStackTraceContaining("it is closed");
            assertThatThrownBy(later::join).hasStackTraceContaining("it is closed");
            assertThatThrownBy(serving.submit(new Request("lora", new int[] {4}, config))::join).hasStackTraceContaining("it is closed");
            assertThat(bank.stats().inUse()).isEmpty();
        }
    }
}
