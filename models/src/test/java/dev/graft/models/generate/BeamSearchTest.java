package dev.graft.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.generate.GenerationConfig.EarlyStopping;
import dev.graft.models.generate.GenerationConfig.LengthNorm;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/// What the reference's cases (see [GenerationGoldenTest]) do not come across: ties, stop strings, full lengths, ends.
class BeamSearchTest {
    private static final Predicate<int[]> NO_STOP = _ -> false;
    private static final GenerationConfig TWO = GenerationConfig.defaults().withMaxNewTokens(9).withBeams(2);

    private static BeamSearch.Step advance(BeamSearch search, float[]... rows) {
        return search.advance(rows.length == 1 ? new float[][] {rows[0], rows[0]} : rows);
    }

    private static float[] row(float... logProbabilities) {
        return logProbabilities;
    }

    @Test
    void hypothesesCanBeNormalisedByTheFullLengthAsInOlderVersions() {
        GenerationConfig config = TWO.withEosIds(List.of(0)).withBeams(2, 1, EarlyStopping.HEURISTIC, LengthNorm.FULL).withMaxNewTokens(3);
        BeamSearch search = new BeamSearch(config, 10, NO_STOP);
        advance(search, row(-9, -0.5f, -1f, -9));
        assertThat(search.beams()).isDeepEqualTo(new int[][] {{1}, {2}});
        BeamSearch.Step step = advance(search, row(-0.25f, -9, -9, -2), row(-9, -9, -9, -0.5f));
        assertThat(search.finished()).singleElement().satisfies(h -> {
            assertThat(h.ids()).containsExactly(1, 0);
            assertThat(h.score()).as("ten of the prompt and one, the end not counted").isEqualTo(-0.75f / 11);
            assertThat(h.ended()).isTrue();
        });
        assertThat(step.parents()).containsExactly(1, 0);
        assertThat(step.tokens()).containsExactly(3, 3);
        advance(search, row(-9, -0.25f, -9, -9), row(-9, -9, -9, -9));
        assertThat(search.finished()).last().satisfies(h -> {
            assertThat(h.ids()).containsExactly(2, 3, 1);
            assertThat(h.score()).as("no end, so all count").isEqualTo(-1.75f / 13);
            assertThat(h.ended()).isFalse();
        });
        assertThat(search.done()).isTrue();
    }

    @Test
    void tiesFallToTheEarlierBeamAndTheSmallerToken() {
        BeamSearch search = new BeamSearch(TWO, 1, NO_STOP);
        advance(search, row(-1, -1, -1, -1));
        assertThat(search.beams()).isDeepEqualTo(new int[][] {{0}, {1}});
        BeamSearch.Step step = advance(search, row(-1, -1, -1, -1), row(-1, -1, -1, -1));
        assertThat(step.parents()).containsExactly(0, 0);
        assertThat(step.tokens()).containsExactly(0, 1);
        BeamSearch last = new BeamSearch(TWO, 1, ids -> ids.length == 2 && ids[1] != 3);
        advance(last, row(-1, -1, -1, -1));
        assertThat(advance(last, row(-1, -1, -1, -1), row(-1, -1, -1, -1)).parents()[0]).as("the last candidate too").isZero();
    }

    @Test
    void aBeamThatHasEndedIsNotContinuedForWantOfOthers() {
        BeamSearch search = new BeamSearch(TWO, 1, ids -> ids[ids.length - 1] != 3); // every token but 3 completes a stop string
        BeamSearch.Step step = advance(search, row(-1, -2, -3, -0.1f));
        assertThat(step.tokens()).as("only one goes on").containsExactly(3, 0);
        assertThat(search.finished()).singleElement().satisfies(h -> assertThat(h.ids()).containsExactly(0));
        step = advance(search, row(-20, -20, -20, -20), row(0, 0, 0, 0));
        assertThat(step.parents()[0]).as("however well the ended one would go on").isZero();
        assertThat(search.finished()).extracting(h -> h.ids()[0]).contains(3);
    }

    @Test
    void neverStoppingLooksAheadOnlyWhereLengthHelps() {
        GenerationConfig shorter = TWO.withEosIds(List.of(0)).withBeams(2, -1, EarlyStopping.NEVER, LengthNorm.GENERATED);
        BeamSearch search = new BeamSearch(shorter, 1, NO_STOP);
        advance(search, row(-3, -0.5f, -4, -5));
        advance(search, row(-0.2f, -0.1f, -9, -9), row(-9, -9, -9, -9));
        assertThat(search.finished()).extracting(BeamSearch.Hypothesis::score).containsExactly(-1.4f, -3f);
        assertThat(search.done()).as("-0.6 · 2 beats -3, though -0.6 · 9 would not").isFalse();
    }

    @Test
    void whenEveryContinuationEndsTheSearchIsOver() {
        GenerationConfig longer = TWO.withMaxNewTokens(1000).withBeams(2, 4, EarlyStopping.NEVER, LengthNorm.GENERATED);
        BeamSearch search = new BeamSearch(longer, 1, _ -> true);
        advance(search, row(-1, -2, -3, -4));
        assertThat(search.finished()).hasSize(2);
        assertThat(search.done()).isTrue();
        assertThatThrownBy(() -> advance(search, row(0, 0, 0, 0))).isInstanceOf(IllegalStateException.class).hasMessageContaining("over");
    }

    @Test
    void rowsMustBeAsManyAsBeams() {
        BeamSearch search = new BeamSearch(TWO, 1, NO_STOP);
        assertThatThrownBy(() -> search.advance(new float[3][4])).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("2 beams need as many rows of log-probabilities, got 3");
    }
}
