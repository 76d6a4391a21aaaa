package dev.graft.peft.tinyworld;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TinyWorldTest {
    private static final Pattern SUM = Pattern.compile("(\\d+) ([+-]) (\\d+) = (\\d+)");
    private static final Pattern COUNTING = Pattern.compile("counts them: ([a-z, ]+)\\. There are (\\w+)");

    @Test
    void aStoryDependsOnSeedAndIndexAlone() {
        TinyWorld world = new TinyWorld(5);
        assertThat(world.story(77)).isEqualTo(new TinyWorld(5).story(77)).isNotEqualTo(new TinyWorld(6).story(77))
                .isNotEqualTo(world.story(78));
        assertThat(world.training().limit(50)).containsExactlyElementsOf(world.training().limit(50).toList());
    }

    @Test
    void heldOutStoriesAreNeverTrainingStoriesOfAnySeed() {
        Set<String> training = new HashSet<>();
        for (long seed = 1; seed <= 3; seed++) {
            new TinyWorld(seed).training().limit(20_000).forEach(training::add);
        }
        List<String> heldOut = new TinyWorld(1).heldOut().limit(2_000).toList();
        assertThat(heldOut).noneMatch(training::contains);
        assertThat(training).noneMatch(TinyWorld::heldOut);
        assertThat(heldOut).allMatch(TinyWorld::heldOut);
    }

    @Test
    void storiesAreVaried() {
        assertThat(new TinyWorld(1).training().limit(20_000).distinct().count()).isGreaterThan(19_000);
    }

    @Test
    void whatStoriesSayIsTrueAndNoneAsksHowMany() {
        int sums = 0;
        int countings = 0;
        for (String story : new TinyWorld(2).training().limit(5_000).toList()) {
            assertThat(story.toLowerCase(Locale.ROOT)).doesNotContain("how many").doesNotContain("the answer is");
            for (MatchResult sum : SUM.matcher(story).results().toList()) {
                int a = Integer.parseInt(sum.group(1));
                int b = Integer.parseInt(sum.group(3));
                assertThat(sum.group(2).equals("+") ? a + b : a - b).as(sum.group()).isEqualTo(Integer.parseInt(sum.group(4)));
                sums++;
            }
            for (MatchResult counting : COUNTING.matcher(story).results().toList()) {
                int many = counting.group(1).split(", ").length;
                assertThat(counting.group(2)).isIn(Lexicon.word(many), Integer.toString(many));
                countings++;
            }
        }
        assertThat(sums).isGreaterThan(2_000);
        assertThat(countings).isGreaterThan(200);
    }

    @Test
    void theVocabularySpellsTheWorldInWholeWordsAndEverythingElseToo(@TempDir Path dir) throws Exception {
        TinyVocabulary.write(1, dir);
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            assertThat(tokenizer.vocabSize()).isEqualTo(TinyVocabulary.SIZE);
            assertThat(tokenizer.specialIds().filler()).isZero();
            double perWord = new TinyWorld(9).heldOut().limit(200)
                    .mapToDouble(story -> tokenizer.encode(story, false).length / (double) words(story)).average()
                    .orElseThrow();
            assertThat(perWord).as("tokens per word or punctuation mark").isLessThan(1.1);
            String other = "Quantum caf\u00e9 \uD83D\uDE42 costs 3.141 \u20ac";
            assertThat(tokenizer.decode(tokenizer.encode(other))).isEqualTo(other);
        }
        Path again = dir.resolve("again");
        TinyVocabulary.write(1, again);
        assertThat(again.resolve("tokenizer.json")).hasSameBinaryContentAs(dir.resolve("tokenizer.json"));
        assertThat(Files.size(again.resolve("tokenizer.json"))).isLessThan(100_000);
    }

    private static long words(String story) {
        return Pattern.compile("\\p{L}+|\\d|[^\\s\\w]+").matcher(story).results().count();
    }

    @Test
    void aTrigramModelLearnsTheStoriesSomewhat(@TempDir Path dir) throws Exception {
        TinyVocabulary.write(1, dir);
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            Trigram trigram = new Trigram(tokenizer.vocabSize());
            tokenizer.encode(new TinyWorld(1).training().limit(20_000).toList(), false).forEach(ids -> trigram.train(ended(ids)));
            List<int[]> heldOut = tokenizer.encode(new TinyWorld(1).heldOut().limit(500).toList(), false).stream().map(TinyWorldTest::ended)
                    .collect(Collectors.toList());
            // What a model of the world reaches is found in training; here only that the baseline is neither broken nor trivial.
            assertThat(trigram.perplexity(heldOut)).isBetween(4.0, 6.0);
        }
    }

    private static int[] ended(int[] ids) {
        int[] ended = Arrays.copyOf(ids, ids.length + 1);
        ended[ids.length] = 2;
        return ended;
    }
}
