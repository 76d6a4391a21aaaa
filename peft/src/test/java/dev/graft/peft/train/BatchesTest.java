package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.tensor.Scope;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BatchesTest {
    private static List<Example> epoch(Batches batches) {
        List<Example> seen = new ArrayList<>();
        for (int i = 0; i < batches.perEpoch(); i++) seen.addAll(batches.next().examples());
        return seen;
    }

    private static Set<Example> identities(List<Example> examples) {
        Set<Example> set = Collections.newSetFromMap(new IdentityHashMap<>());
        set.addAll(examples);
        return set;
    }

    @Test
    void everyEpochSeesEveryExampleOnceInAnotherOrder() {
        List<Example> texts = Texts.of(53, 1);
        Batches batches = new Batches(texts, TrainConfig.with(c -> c.batchSize(10).average(TrainConfig.Average.MICRO_BATCHES)));
        assertThat(batches.perEpoch()).isEqualTo(6);
        List<Example> first = epoch(batches);
        List<Example> second = epoch(batches);
        assertThat(first).hasSize(53);
        assertThat(identities(first)).hasSize(53).isEqualTo(identities(second)).isEqualTo(identities(texts));
        assertThat(first).isNotEqualTo(second).isNotEqualTo(texts);
    }

    @Test
    void sameSeedSameOrderAndAnotherSeedAnother() {
        List<Example> texts = Texts.of(40, 1);
        List<Example> one = epoch(new Batches(texts, TrainConfig.with(c -> c.seed(5))));
        assertThat(epoch(new Batches(texts, TrainConfig.with(c -> c.seed(5))))).isEqualTo(one);
        assertThat(epoch(new Batches(texts, TrainConfig.with(c -> c.seed(6))))).isNotEqualTo(one);
    }

    @Test
    void orderGoesOnFromAnyPlace() {
        for (boolean grouped : new boolean[] {false, true}) {
            TrainConfig config = TrainConfig.with(c -> c.batchSize(4).groupByLength(grouped));
            Batches whole = new Batches(Texts.of(30, 2), config);
            for (int i = 0; i < 11; i++) whole.next();
            Batches resumed = new Batches(Texts.of(30, 2), config);
            resumed.moveTo(whole.epoch(), whole.position());
            for (int i = 0; i < 20; i++) {
                List<int[]> expected = whole.next().examples().stream().map(Example::ids).toList();
                List<int[]> got = resumed.next().examples().stream().map(Example::ids).toList();
                assertThat(got.toArray(int[][]::new)).isDeepEqualTo(expected.toArray(int[][]::new));
            }
        }
    }

    @Test
    void groupingByLengthSavesPaddingAndBeginsWithTheLongest() {
        List<Example> texts = Texts.of(400, 3);
        Batches random = new Batches(texts, TrainConfig.with(c -> c.batchSize(8).padToMultipleOf(1)));
        Batches grouped = new Batches(texts, TrainConfig.with(c -> c.batchSize(8).padToMultipleOf(1).groupByLength(true)));
        int longest = texts.stream().mapToInt(Example::length).max().getAsInt();
        int[] padded = new int[2];
        for (int i = 0; i < 50; i++) {
            Batch a = random.next();
            Batch b = grouped.next();
            if (i == 0) assertThat(b.length()).isEqualTo(longest);
            padded[0] += a.length() * a.size() - a.tokens();
            padded[1] += b.length() * b.size() - b.tokens();
        }
        assertThat(padded[1]).isLessThan(padded[0] / 4);
        assertThat(identities(epoch(new Batches(texts, TrainConfig.with(c -> c.groupByLength(true)))))).isEqualTo(identities(texts));
    }

    /// math_10k with 120 held out: 9,799 records, batch 16, micro-batch 4, 612 steps an epoch, 1,836 in three.
    @Test
    void stepsAreCountedAsInLlmAdapters() {
        List<Example> texts = Collections.nCopies(9799, Example.of(1, 2));
        assertThat(new Batches(texts, TrainConfig.LLM_ADAPTERS).perEpoch()).isEqualTo(612);
        assertThat(TrainConfig.LLM_ADAPTERS.steps(612)).isEqualTo(1836);
        assertThat(new Batches(texts, TrainConfig.DEFAULT).perEpoch()).isEqualTo(613);
        // 14 examples are micro-batches of 4, 4, 4, 2: a full batch there, and 12 are not
        assertThat(new Batches(texts.subList(0, 16 + 14), TrainConfig.LLM_ADAPTERS).perEpoch()).isEqualTo(2);
        assertThat(new Batches(texts.subList(0, 16 + 12), TrainConfig.LLM_ADAPTERS).perEpoch()).isEqualTo(1);
        assertThatThrownBy(() -> new Batches(texts.subList(0, 5), TrainConfig.LLM_ADAPTERS))
                .hasMessageContaining("5 examples do not fill a batch of 16");
    }

    @Test
    void fractionsOfAnEpochRoundUp() {
        assertThat(TrainConfig.with(c -> c.epochs(0.5)).steps(7)).isEqualTo(4);
        assertThat(TrainConfig.with(c -> c.steps(9).epochs(0.5)).steps(7)).isEqualTo(9);
    }

    @Test
    void paddingIsMaskedAndPositionsCountTokens() {
        List<Example> examples = List.of(Example.of(new int[] {5, 6, 7}, 2), Example.of(1, 2, 3, 4, 5));
        try (var _ = Scope.open()) {
            Batch left = new Batch(examples, Padding.LEFT, 8);
            assertThat(left.inputs().ids().toInts()).containsExactly(0, 0, 0, 0, 0, 5, 6, 7, 0, 0, 0, 1, 2, 3, 4, 5);
            assertThat(left.inputs().mask().toInts()).containsExactly(0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1);
            assertThat(left.inputs().positions().toInts()).endsWith(0, 1, 2, 3, 4);
            assertThat(left.labels())
                    .isDeepEqualTo(new int[][] {{-100, -100, -100, -100, -100, -100, -100, 7}, {-100, -100, -100, -100, 2, 3, 4, 5}});
            Batch right = new Batch(examples, Padding.RIGHT, 1);
            assertThat(right.inputs().ids().toInts()).containsExactly(5, 6, 7, 0, 0, 1, 2, 3, 4, 5);
            assertThat(right.labels()).isDeepEqualTo(new int[][] {{-100, -100, 7, -100, -100}, {-100, 2, 3, 4, 5}});
            assertThat(right.counted()).isEqualTo(left.counted()).isEqualTo(5);
            assertThat(right.tokens()).isEqualTo(8);
        }
    }

    @Test
    void splitHoldsOutWhatTheSeedDraws() {
        List<Integer> all = IntStream.range(0, 100).boxed().toList();
        Split<Integer> split = Split.of(all, 20, 1);
        assertThat(split.validation()).hasSize(20).isSorted().doesNotContainAnyElementsOf(split.train());
        assertThat(split.train()).hasSize(80);
        assertThat(Split.of(all, 20, 1)).isEqualTo(split);
        assertThat(Split.of(all, 20, 2)).isNotEqualTo(split);
        assertThat(Split.of(all, 0, 1).train()).isEqualTo(all);
        assertThatThrownBy(() -> Split.of(all, 100, 1)).hasMessageContaining("100 of 100 records");
    }
}
