package dev.graft.models.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.models.Golden;
import dev.graft.models.SharedFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {
    @TempDir
    Path dir;

    @Test
    void loadingTurnsTelemetryOffAndRestoresTheOtherSettings() throws Exception {
        String offline = System.getProperty("ai.djl.offline");
        try (Tokenizer _ = bloom()) {
            assertThat(System.getenv("OPT_OUT_TRACKING") != null || Boolean.getBoolean("OPT_OUT_TRACKING")).isTrue();
            assertThat(System.getProperty("ai.djl.offline")).isEqualTo(offline);
        }
    }

    @Test
    void aLongTextIsNotCut() throws Exception {
        try (Tokenizer tokenizer = bloom()) {
            assertThat(tokenizer.encode("a ".repeat(5000))).hasSizeGreaterThan(4999);
        }
    }

    @Test
    void idsWithoutATokenDecodeToNothing() throws Exception {
        try (Tokenizer tokenizer = bloom()) {
            int[] ids = tokenizer.encode("Once");
            int[] padded = Arrays.copyOf(ids, ids.length + 2);
            padded[ids.length] = tokenizer.vocabSize() + 7;
            padded[ids.length + 1] = -1;
            assertThat(tokenizer.decode(padded, true)).isEqualTo("Once");
            assertThat(tokenizer.token(tokenizer.vocabSize())).isEmpty();
            assertThat(tokenizer.special(tokenizer.vocabSize())).isFalse();
        }
    }

    @Test
    void halfASurrogatePairBecomesTheReplacementCharacter() throws Exception {
        try (Tokenizer tokenizer = bloom()) {
            assertThat(tokenizer.decode(tokenizer.encode("x\uD83Dy \uD83D\uDE42 \0 z"), true)).isEqualTo("x\uFFFDy \uD83D\uDE42 \0 z");
        }
    }

    @Test
    void aStreamHoldsBytesUntilTheyFormACharacter() throws Exception {
        try (Tokenizer tokenizer = bloom()) {
            int[] ids = tokenizer.encode("\uD83D\uDE42!", false);
            assertThat(ids).hasSize(5);
            StreamingDecoder stream = tokenizer.stream(true);
            assertThat(Arrays.stream(ids).mapToObj(stream::push)).containsExactly("", "", "", "\uD83D\uDE42", "!");
            assertThat(stream.push(ids[0]) + stream.push(ids[4])).isEqualTo("\uFFFD!");
            assertThat(stream.push(ids[0])).isEmpty();
            assertThat(stream.finish()).isEqualTo("\uFFFD");
        }
    }

    @Test
    void aStreamOfBytesThatNeverFormACharacterDoesNotWaitForEver() throws Exception {
        try (Tokenizer tokenizer = bloom()) {
            int lead = tokenizer.encode("\uD83D\uDE42", false)[0];
            StreamingDecoder stream = tokenizer.stream(true);
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 100; i++) {
                text.append(stream.push(lead));
            }
            assertThat(text).hasSizeGreaterThan(95);
            assertThat(text.append(stream.finish()).toString()).isEqualTo("\uFFFD".repeat(100));
        }
    }

    @Test
    void rolesComeFromTheTokenizerFirstAndDisagreementIsReported() throws Exception {
        copyBloom();
        Files.writeString(dir.resolve("config.json"), "{\"bos_token_id\": 0, \"eos_token_id\": 1, \"pad_token_id\": 3}");
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            SpecialIds ids = tokenizer.specialIds();
            assertThat(ids.bos()).hasValue(1);
            assertThat(ids.eos()).containsExactly(2);
            assertThat(ids.pad()).hasValue(3);
            assertThat(ids.warnings()).hasSize(2).anyMatch(w -> w.contains("bos_token_id [0]") && w.contains("tokenizer says 1"));
        }
    }

    @Test
    void everyEndTokenOfTheConfigurationCountsWhenTheTokenizersIsAmongThem() throws Exception {
        copyBloom();
        Files.writeString(dir.resolve("tokenizer_config.json"), "{\"eos_token\": {\"content\": \"</s>\"}, \"pad_token\": null}");
        Files.writeString(dir.resolve("generation_config.json"), "{\"eos_token_id\": [3, 2, 7]}");
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            assertThat(tokenizer.specialIds().eos()).containsExactly(2, 3, 7);
            assertThat(tokenizer.specialIds().warnings()).isEmpty();
        }
    }

    @Test
    void theConfigurationIsAskedWhenTheTokenizerKnowsNoRole() throws Exception {
        Files.writeString(dir.resolve("tokenizer.json"),
                Files.readString(Golden.path("tokenizers/gpt2-style/tokenizer.json"))
                        .replace("<|endoftext|>", "<|stop|>"));
        Files.writeString(dir.resolve("config.json"), "{\"eos_token_id\": 0}");
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            assertThat(tokenizer.specialIds())
                    .isEqualTo(new SpecialIds(OptionalInt.empty(), List.of(0), OptionalInt.empty(), OptionalInt.empty(), List.of()));
        }
    }

    @Test
    void explicitFlagsOverrideTheTemplate() throws Exception {
        copyBloom();
        Files.writeString(dir.resolve("tokenizer_config.json"), "{\"add_bos_token\": true, \"add_eos_token\": true}");
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            int[] bare = tokenizer.encode("Once", false);
            int[] around = tokenizer.encode("Once");
            assertThat(around).hasSize(bare.length + 2).startsWith(1).endsWith(2);
            assertThat(tokenizer.encode(List.of("Once"), true).getFirst()).isEqualTo(around);
        }
    }

    @Test
    void theOlderSpellingOfTheDummyPrefixGivesTheSameIds() throws Exception {
        Path stories = SharedFolder.path("golden/stories260K");
        ObjectMapper mapper = new ObjectMapper();
        ObjectNode json = (ObjectNode) mapper.readTree(stories.resolve("tokenizer.json").toFile());
        json.putNull("pre_tokenizer");
        json.set("normalizer", mapper.readTree("""
                {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                 {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}"""));
        mapper.writeValue(dir.resolve("tokenizer.json").toFile(), json);
        String text = "<s>special</s> end";
        try (Tokenizer legacy = Tokenizer.load(dir); Tokenizer reference = Tokenizer.load(stories)) {
            assertThat(legacy.encode(text)).isNotEqualTo(reference.encode(text));
        }
        Files.writeString(dir.resolve("tokenizer_config.json"), "{\"tokenizer_class\": \"LlamaTokenizerFast\"}");
        try (Tokenizer older = Tokenizer.load(dir); Tokenizer reference = Tokenizer.load(stories)) {
            assertThat(older.encode(text)).isEqualTo(reference.encode(text));
        }
    }

    @Test
    void aMissingTokenizerSaysWhatToDo() throws IOException {
        assertThatThrownBy(() -> Tokenizer.load(dir)).isInstanceOf(TokenizerException.class).hasMessageContaining("has no tokenizer.json");
        Files.writeString(dir.resolve("tokenizer.model"), "x");
        assertThatThrownBy(() -> Tokenizer.load(dir)).isInstanceOf(TokenizerException.class).hasMessageContaining("tokenizer.model")
                .hasMessageContaining("save_pretrained");
        assertThatThrownBy(() -> Tokenizer.load(dir.resolve("nowhere/at/all"))).isInstanceOf(TokenizerException.class)
                .hasMessageContaining("there is no folder");
    }

    @Test
    void malformedFilesGiveOneClearError() throws Exception {
        Path json = dir.resolve("tokenizer.json");
        String good = Files.readString(Golden.path("tokenizers/bloom-style/tokenizer.json"));
        for (String bad : List.of("", "{", "[]", "{\"model\": {}}", good.substring(0, good.length() / 2),
                good.replace("\"ByteLevel\"", "\"Telepathy\""),
                good.replaceFirst("\"id\": ?\\d+", "\"id\": 99999999999"), good.replaceFirst("\"id\": ?\\d+", "\"id\": -1"))) {
            Files.writeString(json, bad);
            assertThatThrownBy(() -> Tokenizer.load(dir)).isInstanceOf(TokenizerException.class).hasMessageContaining("tokenizer.json");
        }
    }

    @Test
    void threeHundredMutatedFilesLoadOrAreRefused() throws Exception {
        String good = Files.readString(Golden.path("tokenizers/bloom-style/tokenizer.json"));
        List<String> pieces = List.of("\"BPE\"", "\"ByteLevel\"", "\"Unigram\"", "\"Sequence\"", "null", "true", "\"merges\"", "\"vocab\"",
                "{", "]", ",",
                "0", "-1", "999999999", "\"");
        Random random = new Random(7);
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            StringBuilder mutated = new StringBuilder(good);
            int at = random.nextInt(random.nextBoolean() ? mutated.length() : 3000);
            String piece = pieces.get(random.nextInt(pieces.size()));
            switch (random.nextInt(4)) {
                case 0 -> mutated.delete(at, at + 1 + random.nextInt(20));
                case 1 -> mutated.insert(at, piece);
                case 2 -> mutated.setCharAt(at, (char) (32 + random.nextInt(95)));
                default -> {
                    String other = pieces.get(random.nextInt(pieces.size()));
                    int found = mutated.indexOf(piece, at);
                    mutated.replace(Math.max(0, found), Math.max(0, found) + piece.length(), other);
                }
            }
            Files.writeString(dir.resolve("tokenizer.json"), mutated);
            try (Tokenizer tokenizer = Tokenizer.load(dir)) {
                tokenizer.decode(tokenizer.encode("Hello <s> 12 caf\u00e9 \uD83D\uDE42"));
            } catch (TokenizerException e) {
                assertThat(e).hasMessageContaining("tokenizer.json");
                refused++;
            }
        }
        assertThat(refused).isBetween(100, 299);
    }

    private void copyBloom() throws Exception {
        Files.copy(Golden.path("tokenizers/bloom-style/tokenizer.json"), dir.resolve("tokenizer.json"));
    }

    private static Tokenizer bloom() throws Exception {
        return Tokenizer.load(Golden.path("tokenizers/bloom-style"));
    }
}
