package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.Conversation;
import dev.graft.models.Conversation.Turns;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.GenerationConfig.EarlyStopping;
import dev.graft.models.generate.GenerationConfig.LengthNorm;
import dev.graft.models.generate.Generator;
import dev.graft.models.generate.Session;
import dev.graft.nn.LayerHook;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// Turns of a conversation against passes over all of it, and how many tokens were read for them.
class ConversationTest {
    private static final int[] FIRST = {3, 1, 4, 1, 5}, ANSWER = {9, 2, 6}, SECOND = {5, 3, 5, 8}, END = {7, 9};

    private static Map<String, Supplier<CausalLm>> models() {
        Map<String, Supplier<CausalLm>> models = new LinkedHashMap<>();
        models.put("llama", Tiny::llama);
        models.put("bloom", Tiny::bloom);
        models.put("gptj", Tiny::gptj);
        return models;
    }

    private static Adapter pedro(Turns turns) {
        return Adapters.of("pedro", Map.of("r", 3, "multi_turn", turns.name().toLowerCase(java.util.Locale.ROOT), "pooler", "mean"));
    }

    private static void stir(Peft peft) {
        try (var _ = Scope.untracked()) {
            peft.parameters()
                    .forEach(p -> p.value().assign(p.value().add(Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(0.3))));
        }
    }

    private static int[] text(int[]... parts) {
        return Arrays.stream(parts).flatMapToInt(Arrays::stream).toArray();
    }

    /// Says the answer, token by token.
    private static void say(Session turn, int[] ids) {
        for (int id : ids) turn.advance(new int[] {id});
    }

    /// Logits behind a text whose first tokens are the prompt, by one pass without a cache.
    private static float[] whole(CausalLm model, int[] text, int prompt) {
        try (var _ = Scope.open()) {
            float[] all = model.logits(Inputs.of(new int[][] {text}, null, new int[] {prompt})).toFloats();
            return Arrays.copyOfRange(all, all.length - 29, all.length);
        }
    }

    /// How many tokens the model reads from now on.
    private static int[] counter(CausalLm model) {
        int[] read = new int[1];
        LayerHook count = (x, next) -> {
            read[0] += (int) x.shape().size();
            return next.apply(x);
        };
        model.embedding().attach(count);
        return read;
    }

    @TestFactory
    Stream<DynamicTest> reprefillIsOnePromptWithAllTurnsAndFixedIsWhatFollowsTheFirst() {
        return models().entrySet().stream().flatMap(m -> Stream.of(Turns.REPREFILL, Turns.FIXED)
                .map(turns -> DynamicTest.dynamicTest(m.getKey() + ", " + turns, () -> {
                    try (CausalLm model = m.getValue().get();
                            Peft peft = Peft.attach(model, pedro(turns), 5);
                            Conversation talk = peft.conversation()) {
                        stir(peft);
                        assertThat(talk.turns()).isEqualTo(turns);
                        int[] before = text(FIRST, ANSWER, SECOND), after = text(before, ANSWER, END);
                        try (Session turn = talk.open(List.of(FIRST), 4)) {
                            GoldenTensors.check("first", turn.logits()[0], whole(model, FIRST, 5), 1e-4);
                            say(turn, ANSWER);
                        }
                        int[] read = counter(model);
                        try (Session turn = talk.open(List.of(before), 4)) {
                            assertThat(read[0]).isEqualTo(turns == Turns.FIXED ? SECOND.length : before.length);
                            GoldenTensors.check("second", turn.logits()[0], whole(model, before, turns == Turns.FIXED ? 5 : before.length),
                                    1e-4);
                            say(turn, ANSWER);
                            GoldenTensors.check("answer", turn.logits()[0],
                                    whole(model, text(before, ANSWER), turns == Turns.FIXED ? 5 : before.length), 1e-4);
                        }
                        read[0] = 0;
                        try (Session turn = talk.open(List.of(after), 4)) {
                            assertThat(read[0]).isEqualTo(turns == Turns.FIXED ? END.length : after.length);
                            GoldenTensors.check("third", turn.logits()[0], whole(model, after, turns == Turns.FIXED ? 5 : after.length),
                                    1e-4);
                        }
                        assertThat(talk.length()).isEqualTo(after.length);
                    }
                })));
    }

    /// What asks for no prompt is the same whatever was a prompt.
    @TestFactory
    Stream<DynamicTest> otherAdaptersKeepTheirCache() {
        return Stream.of("lora", "prefix", "prompt", "ia3", "llama-adapter", "unipelt")
                .map(method -> DynamicTest.dynamicTest(method, () -> {
                    Adapter adapter = AdapterContractTest.CASES.stream().filter(c -> c.method().equals(method)).findFirst().orElseThrow()
                            .adapter();
                    try (CausalLm model = Tiny.llama();
                            Peft peft = Peft.attach(model, adapter, 5);
                            Conversation talk = peft.conversation()) {
                        stir(peft);
                        boolean asks = method.equals("unipelt");
                        assertThat(talk.turns()).isEqualTo(asks ? Turns.REPREFILL : Turns.FIXED);
                        try (Session turn = talk.open(List.of(FIRST), 4)) {
                            say(turn, ANSWER);
                        }
                        int[] read = counter(model), all = text(FIRST, ANSWER, SECOND);
                        try (Session turn = talk.open(List.of(all), 4)) {
                            assertThat(read[0]).isEqualTo(asks ? all.length : SECOND.length);
                            GoldenTensors.check("second", turn.logits()[0], whole(model, all, all.length), 1e-4);
                        }
                    }
                }));
    }

    /// Of an adapter on the first block alone, which reads embeddings: each turn by a bare model that has this turn's vectors in its matrices.
    @TestFactory
    Stream<DynamicTest> mixedHasEachTurnsOwnVectorsAndTheCacheAsItWas() {
        return models().entrySet().stream().map(m -> DynamicTest.dynamicTest(m.getKey(), () -> {
            Adapter adapter = pedro(Turns.MIXED).with("layers_to_transform", List.of(0));
            try (CausalLm model = m.getValue().get();
                    Peft peft = Peft.attach(model, adapter, 5);
                    Conversation talk = peft.conversation();
                    CausalLm bare = m.getValue().get()) {
                stir(peft);
                scale(m.getKey(), m.getValue(), bare, peft, FIRST);
                int[] all = text(FIRST, ANSWER, SECOND);
                try (var expected = bare.open(List.of(FIRST), 20)) {
                    try (Session turn = talk.open(List.of(FIRST), 4)) {
                        say(turn, ANSWER);
                        say(expected, ANSWER);
                        GoldenTensors.check("first", turn.logits()[0], expected.logits()[0], 1e-4);
                    }
                    scale(m.getKey(), m.getValue(), bare, peft, SECOND);
                    expected.extend(List.of(SECOND), 4);
                    int[] read = counter(model);
                    try (Session turn = talk.open(List.of(all), 4)) {
                        assertThat(read[0]).isEqualTo(SECOND.length);
                        GoldenTensors.check("second", turn.logits()[0], expected.logits()[0], 1e-4);
                        say(turn, END);
                        say(expected, END);
                        GoldenTensors.check("answer", turn.logits()[0], expected.logits()[0], 1e-4);
                        float[] fixed = whole(model, text(all, END), FIRST.length);
                        assertThat(
                                IntStream.range(0, 29).mapToDouble(i -> Math.abs(fixed[i] - expected.logits()[0][i])).max().orElseThrow())
                                .isGreaterThan(1e-3);
                    }
                }
            }
        }));
    }

    /// Makes a bare model what it is with the vectors of these tokens.
    private static void scale(String architecture, Supplier<CausalLm> fresh, CausalLm bare, Peft peft, int[] prompt) {
        try (CausalLm scaled = fresh.get(); var _ = Scope.untracked()) {
            List<float[]> states = scaled.hiddenStates(Inputs.of(new int[][] {prompt})).stream().map(Tensor::toFloats).toList();
            new PedroByLoops(architecture, scaled, peft.adapter(Peft.DEFAULT)).scale(block -> IntStream.range(0, prompt.length)
                    .mapToObj(t -> Arrays.copyOfRange(states.get(block), 20 * t, 20 * t + 20)).toList());
            List<Tensor> values = scaled.parameters().map(p -> p.value()).toList();
            List<Tensor> own = bare.parameters().map(p -> p.value()).toList();
            for (int i = 0; i < own.size(); i++) own.get(i).assign(values.get(i));
        }
    }

    @Test
    void anAnswerThatIsEditedKeepsWhatIsTheSame() {
        try (CausalLm model = Tiny.llama();
                Peft peft = Peft.attach(model, pedro(Turns.FIXED), 5);
                Conversation talk = peft.conversation()) {
            stir(peft);
            try (Session turn = talk.open(List.of(FIRST), 4)) {
                say(turn, ANSWER);
            }
            int[] read = counter(model), edited = text(FIRST, new int[] {9, 8, 8}, SECOND);
            try (Session turn = talk.open(List.of(edited), 4)) {
                assertThat(read[0]).isEqualTo(2 + SECOND.length);
                GoldenTensors.check("edited", turn.logits()[0], whole(model, edited, 5), 1e-4);
            }
            read[0] = 0;
            int[] other = text(new int[] {3, 1, 5}, SECOND);
            try (Session turn = talk.open(List.of(other), 4)) {
                assertThat(read[0]).isEqualTo(other.length);
                GoldenTensors.check("other", turn.logits()[0], whole(model, other, other.length), 1e-4);
            }
        }
    }

    private record Beam(int[] ids, double score) {
    }

    /// The best five further tokens by beams of whole passes, all with the vectors of the first prompt.
    private static int[] searched(CausalLm model, int[] before, int beams) {
        List<Beam> best = List.of(new Beam(new int[0], 0));
        for (int step = 0; step < 5; step++) {
            List<Beam> longer = new ArrayList<>();
            for (Beam beam : best) {
                float[] logits = whole(model, text(before, beam.ids), FIRST.length);
                double sum = 0;
                for (float logit : logits) sum += Math.exp(logit);
                for (int id = 0; id < logits.length; id++)
                    longer.add(new Beam(text(beam.ids, new int[] {id}), beam.score + logits[id] - Math.log(sum)));
            }
            best = longer.stream().sorted(Comparator.comparingDouble(Beam::score).reversed()).limit(beams).toList();
        }
        return best.getFirst().ids;
    }

    @Test
    void generatorsTalkWithBeamsAndWithout() {
        try (CausalLm model = Tiny.llama();
                Peft peft = Peft.attach(model, pedro(Turns.FIXED), 5);
                Conversation talk = peft.conversation()) {
            stir(peft);
            int[] all = FIRST;
            for (int beams : new int[] {1, 3, 1}) {
                GenerationConfig config = GenerationConfig.defaults().withMaxNewTokens(5);
                if (beams > 1) config = config.withBeams(beams, 1, EarlyStopping.HEURISTIC, LengthNorm.GENERATED);
                int[] answer = new Generator(talk, config).generate(List.of(all)).getFirst().ids();
                assertThat(answer).isEqualTo(searched(model, all, beams));
                all = text(all, answer, SECOND);
            }
        }
    }

    @Test
    void whatCannotBeIsSaid() {
        try (CausalLm model = Tiny.llama(); Conversation talk = new Conversation(model, Turns.FIXED)) {
            assertThatThrownBy(() -> talk.open(List.of(FIRST, SECOND), 4)).isInstanceOf(TensorException.class)
                    .hasMessageContaining("got 2 prompts");
            Session first = talk.open(List.of(FIRST), 1);
            talk.open(List.of(SECOND), 1);
            assertThatThrownBy(() -> first.advance(new int[] {1})).hasMessageContaining("this turn is over");
            Session second = talk.open(List.of(SECOND), 4);
            Session third = talk.open(List.of(text(SECOND, FIRST)), 4);                // goes on where the second was
            assertThatThrownBy(() -> second.advance(new int[] {1})).hasMessageContaining("this turn is over");
            third.advance(new int[] {1});
            try (var session = model.open(List.of(FIRST, SECOND), 1)) {
                assertThatThrownBy(() -> session.extend(List.of(new int[] {1}, new int[] {1, 2}), 1))
                        .hasMessageContaining("got lengths [1, 2]");
                assertThatThrownBy(() -> session.keepFirst(2)).hasMessageContaining("of a single row");
                session.extend(List.of(new int[] {1, 2, 3}, new int[] {4, 5, 6}), 1);
                GoldenTensors.check("long row", session.logits()[0], whole(model, text(FIRST, new int[] {1, 2, 3}), 5), 1e-4);
                GoldenTensors.check("short row", session.logits()[1], whole(model, text(SECOND, new int[] {4, 5, 6}), 4), 1e-4);
            }
        }
    }
}
