package dev.graft.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.optim.Schedule.Law;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/// Against the numbers in the test suite of Hugging Face's transformers (ten steps, peak 10; printed there to two digits for the cosine).
class ScheduleTest {
    private static double[] tenSteps(Law law, long warmup) {
        Schedule schedule = new Schedule(law, 10, warmup, 10);
        return LongStream.range(0, 10).mapToDouble(schedule::at).toArray();
    }

    @Test
    void constantStaysAfterTheWarmUp() {
        assertThat(tenSteps(Law.CONSTANT, 4)).containsExactly(0, 2.5, 5, 7.5, 10, 10, 10, 10, 10, 10);
        assertThat(tenSteps(Law.CONSTANT, 0)).containsOnly(10);
    }

    @Test
    void linearFallsToZeroAtTheLastStep() {
        assertThat(tenSteps(Law.LINEAR, 2)).containsExactly(0, 5, 10, 8.75, 7.5, 6.25, 5, 3.75, 2.5, 1.25);
        assertThat(new Schedule(Law.LINEAR, 10, 2, 10).at(10)).isZero();
        assertThat(new Schedule(Law.LINEAR, 10, 2, 10).at(99)).isZero();
    }

    @Test
    void cosineFallsAlongHalfAWave() {
        assertThat(tenSteps(Law.COSINE, 2)).containsExactly(new double[] {0, 5, 10, 9.61, 8.53, 6.91, 5, 3.08, 1.46, 0.38}, within(0.01));
        assertThat(new Schedule(Law.COSINE, 10, 2, 10).at(10)).isZero();
    }

    @Test
    void warmUpLongerThanTheRunOnlyRises() {
        assertThat(tenSteps(Law.LINEAR, 100)).isSorted();
        assertThat(tenSteps(Law.LINEAR, 100)[9]).isCloseTo(0.9, within(1e-12));
    }

    @Test
    void warmUpRatioRoundsUp() {
        assertThat(Schedule.warmup(0.03, 101)).isEqualTo(4);
        assertThat(Schedule.warmup(0, 101)).isZero();
        assertThatThrownBy(() -> Schedule.warmup(1.5, 10)).hasMessage("the warm-up ratio must be between 0 and 1, got 1.5");
    }

    @Test
    void rateThatIsNotPositiveIsRefused() {
        assertThatThrownBy(() -> Schedule.constant(Double.NaN)).hasMessage("the learning rate must be positive, got NaN");
    }
}
