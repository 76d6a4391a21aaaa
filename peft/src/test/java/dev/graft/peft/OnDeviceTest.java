package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.Emulator;
import dev.graft.models.CausalLm;
import dev.graft.models.CausalSession;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.StepReport;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.TrainListener;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.Backends;
import dev.graft.tensor.Scope;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a step asks of a GPU's driver once memory, kernels and graphs are there: few graphs, one result that the host waits for, no memory.
class OnDeviceTest {
    /// What makes the host wait, or wants memory, or is a graph.
    private static final List<String> CALLS = List.of("cuGraphLaunch", "cuGraphInstantiateWithFlags", "cuMemAlloc_v2", "cuMemFree_v2",
            "cuMemcpyDtoHAsync_v2", "cuEventSynchronize", "cuStreamSynchronize");

    /// Steps that bring what is missing.
    private static final int FIRST = 2;

    private Emulator driver;

    @BeforeEach
    void open() {
        assumeTrue(Emulator.isThere(), "counts calls of the emulated driver");
        driver = Emulator.open();
    }

    /// How often each call has been made, where it has.
    private Map<String, Long> calls(Map<String, Long> before) {
        Map<String, Long> calls = new TreeMap<>();
        for (String name : CALLS) calls.put(name, driver.count(name) - before.getOrDefault(name, 0L));
        return calls;
    }

    private static Map<String, Long> graphsAndOneResult(long graphs) {
        Map<String, Long> calls = new TreeMap<>();
        CALLS.forEach(name -> calls.put(name, 0L));
        calls.put("cuGraphLaunch", graphs);
        calls.put("cuMemcpyDtoHAsync_v2", 1L);
        calls.put("cuEventSynchronize", 1L);
        return calls;
    }

    /// The losses of six steps of LoRA, and what each asked for.
    private List<Double> train(String backend, List<Map<String, Long>> asked) {
        List<Example> texts = IntStream.range(0, 8).mapToObj(i -> Example.of(Tiny.IDS[i])).toList();
        List<Double> losses = new ArrayList<>();
        try (var _ = Scope.open(Backends.named(backend)); CausalLm model = Tiny.llama()) {
            Peft peft = Peft.attach(model, Adapters.of("lora", Map.of("r", 4, "target_modules", "all-linear")), 1);
            TrainConfig config = TrainConfig.with(c -> c.steps(6).batchSize(8).microBatchSize(4).clipNorm(0.5));
            Map<String, Long> total = calls(Map.of());
            new Trainer(config, new CausalLoss(model), peft).listener(new TrainListener() {
                @Override
                public void onStep(StepReport report) {
                    losses.add(report.loss());
                    asked.add(calls(total));
                    total.putAll(calls(Map.of()));
                }
            }).fit(texts, List.of());
        }
        return losses;
    }

    /// Forward and backward, whose loss and norm decide what comes next; then the optimizer.
    @Test
    void aTrainingStepIsTwoGraphs() {
        List<Map<String, Long>> asked = new ArrayList<>();
        List<Double> losses = train("cuda:0", asked), expected = train("cpu", new ArrayList<>());
        for (int i = 0; i < 6; i++) assertThat(losses.get(i)).isCloseTo(expected.get(i), within(1e-4));
        assertThat(asked.subList(FIRST, 6)).containsOnly(graphsAndOneResult(2));
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "bloom", "gptj"})
    void aDecodedTokenIsOneGraph(String type) {
        try (CausalLm model = switch (type) {
            case "llama" -> Tiny.llama();
            case "bloom" -> Tiny.bloom();
            default -> Tiny.gptj();
        }; CausalSession session = model.open(List.of(new int[] {1, 2, 3}, new int[] {4, 5}), 20)) {
            List<Map<String, Long>> asked = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                Map<String, Long> before = calls(Map.of());
                session.advance(new int[] {i, i + 1});
                asked.add(calls(before));
            }
            assertThat(asked.subList(FIRST, 10)).containsOnly(graphsAndOneResult(1));
        }
    }
}
