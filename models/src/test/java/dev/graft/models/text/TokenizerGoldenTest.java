package dev.graft.models.text;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.graft.models.Golden;
import dev.graft.models.SharedFolder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Ids, tokens and decoded text of awkward strings, against the tokenizers library in Python.
class TokenizerGoldenTest {
    @ParameterizedTest
    @ValueSource(strings = {"bloom-style", "gpt2-style"})
    void byteLevelTokenizersAgreeWithTheReference(String name) throws Exception {
        check(Golden.path("tokenizers/" + name), "golden.json");
    }

    @ParameterizedTest
    @ValueSource(strings = {"golden/tokenizers/llama-spm-32k/golden.json", "golden/stories260K/tokenizer_golden.json"})
    void llamaTokenizersAgreeWithTheReference(String golden) throws Exception {
        Path file = SharedFolder.path(golden);
        check(file.getParent(), file.getFileName().toString());
    }

    private static void check(Path dir, String golden) throws Exception {
        JsonNode cases = new ObjectMapper().readTree(dir.resolve(golden).toFile());
        List<String> texts = new ArrayList<>();
        List<int[]> expected = new ArrayList<>();
        try (Tokenizer tokenizer = Tokenizer.load(dir)) {
            for (JsonNode c : cases) {
                String text = c.get("text").asText();
                int[] ids = ints(c.get("ids"));
                texts.add(text);
                expected.add(ids);
                assertThat(tokenizer.encode(text)).as(text).isEqualTo(ids);
                int[] bare = c.has("ids_no_special") ? ints(c.get("ids_no_special")) : ids;
                assertThat(tokenizer.encode(text, false)).as(text).isEqualTo(bare);
                assertThat(tokenizer.decode(bare, false)).as(text).isEqualTo(c.get("decoded").asText());
                for (int i = 0; c.has("tokens") && i < ids.length; i++) {
                    assertThat(tokenizer.token(ids[i])).hasValue(c.get("tokens").get(i).asText());
                    assertThat(tokenizer.id(c.get("tokens").get(i).asText())).hasValue(ids[i]);
                }
                assertThat(streamed(tokenizer, bare, false)).as("streamed: " + text).isEqualTo(tokenizer.decode(bare, false));
                assertThat(streamed(tokenizer, ids, true)).as("streamed: " + text).isEqualTo(tokenizer.decode(ids, true));
            }
            assertThat(cases.size()).isGreaterThan(10);
            assertThat(tokenizer.encode(texts, true)).usingRecursiveComparison().isEqualTo(expected);
        }
    }

    private static String streamed(Tokenizer tokenizer, int[] ids, boolean skipSpecialTokens) {
        StreamingDecoder decoder = tokenizer.stream(skipSpecialTokens);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            text.append(decoder.push(id));
        }
        return text.append(decoder.finish()).toString();
    }

    private static int[] ints(JsonNode array) {
        int[] ints = new int[array.size()];
        for (int i = 0; i < ints.length; i++) {
            ints[i] = array.get(i).asInt();
        }
        return ints;
    }
}
