package dev.graft.models.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BpeTrainerTest {
    private static final int FIXED = 259;

    @TempDir
    Path dir;

    @Test
    void theMostFrequentPairIsMergedFirst() throws Exception {
        // "ab" occurs 5 times, then "Ġab" 3 times and "abc" 2 times.
        try (Tokenizer tokenizer = train(Stream.of("ab ab ab", "abc ab x", "abc"), FIXED + 3)) {
            assertThat(Stream.of(FIXED, FIXED + 1, FIXED + 2).map(id -> tokenizer.token(id).orElseThrow())).containsExactly("ab", "Ġab",
                    "abc");
            assertThat(tokens(tokenizer, "ab ab abc")).containsExactly("ab", "Ġab", "Ġab", "c");
            assertThat(tokens(tokenizer, "abc")).containsExactly("abc");
        }
    }

    @Test
    void digitsStandAlone() throws Exception {
        try (Tokenizer tokenizer = train(Stream.generate(() -> "12 12 345").limit(9), 400)) {
            assertThat(tokens(tokenizer, "12 345")).containsExactly("1", "2", "Ġ3", "4", "5");
        }
    }

    @Test
    void anyTextEncodesAndComesBack() throws Exception {
        try (Tokenizer tokenizer = train(Stream.of("the cat and the hat", "the end\n\nnew lines"), 300)) {
            Random random = new Random(5);
            for (int i = 0; i < 300; i++) {
                int[] points = random.ints(random.nextInt(1, 40), 0, 0x3000).filter(c -> !Character.isSurrogate((char) c)).toArray();
                String text = new String(points, 0, points.length);
                assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
            }
            assertThat(tokenizer.decode(tokenizer.encode("\uD83D\uDE42  \t\r\n x "))).isEqualTo("\uD83D\uDE42  \t\r\n x ");
        }
    }

    @Test
    void textsBeginWithTheBeginTokenAndRolesAreKnown() throws Exception {
        try (Tokenizer tokenizer = train(Stream.of("a"), FIXED)) {
            assertThat(tokenizer.encode("a")).hasSize(2).startsWith(1);
            SpecialIds ids = tokenizer.specialIds();
            assertThat(ids.bos()).hasValue(1);
            assertThat(ids.eos()).containsExactly(2);
            assertThat(ids.pad()).hasValue(0);
            assertThat(tokenizer.encode("</s>", false)).containsExactly(2);
            assertThat(tokenizer.vocabSize()).isEqualTo(FIXED);
        }
    }

    @Test
    void aVocabularyWithoutRoomForTheBytesIsRefused() {
        assertThatThrownBy(() -> BpeTrainer.train(Stream.of("a"), 258, dir)).hasMessageContaining("at least 259")
                .hasMessageContaining("258");
    }

    private Tokenizer train(Stream<String> texts, int vocabSize) throws Exception {
        BpeTrainer.train(texts, vocabSize, dir);
        return Tokenizer.load(dir);
    }

    private static List<String> tokens(Tokenizer tokenizer, String text) {
        return Arrays.stream(tokenizer.encode(text, false)).mapToObj(id -> tokenizer.token(id).orElseThrow()).toList();
    }
}
