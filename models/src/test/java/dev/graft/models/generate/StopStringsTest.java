package dev.graft.models.generate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class StopStringsTest {
    @Test
    void theOneThatBeginsFirstIsFoundWhateverTheirOrder() {
        assertThat(new StopStrings(List.of("bc", "ab")).find("xabc", 0)).isEqualTo(1);
        assertThat(new StopStrings(List.of("ab", "bc")).find("xabc", 0)).isEqualTo(1);
        assertThat(new StopStrings(List.of("ab", "bc")).find("xabc", 2)).isEqualTo(2);
        assertThat(new StopStrings(List.of("ab", "bc")).find("xabc", 3)).isEqualTo(-1);
    }

    @Test
    void theLongestBeginningOfAnyIsHeldBack() {
        StopStrings stops = new StopStrings(List.of("aab", "ba"));
        assertThat(stops.suspicious("xaa")).isEqualTo(2);
        assertThat(stops.suspicious("aaa")).isEqualTo(2);
        assertThat(stops.suspicious("ab")).isEqualTo(1);
        assertThat(stops.suspicious("ax")).isZero();
        assertThat(stops.longest()).isEqualTo(3);
    }
}
