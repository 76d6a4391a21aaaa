package dev.graft.models.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.Golden;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JsonTest {
    private static final JsonObject CONFIG = Json.parse("""
            {"hidden_size": 32, "eps": 1e-5, "act": "silu", "tie": true, "pad": null, "big": 1000000000000000019884624838656,
             "rope": {"type": "llama3", "factor": 8, "deep": {"x": "y"}}, "eos": [1, 2], "targets": ["q_proj", "v_proj"], "none": [],
             "blocks": [{"n": 1}, {"n": "two"}], "nothing": {}, "empty": "", "off": false, "nan": NaN}""", "config.json");

    @TempDir
    Path folder;

    @Test
    void valuesAreReadByTheirType() {
        assertThat(CONFIG.requireInt("hidden_size")).isEqualTo(32);
        assertThat(CONFIG.requireLong("hidden_size")).isEqualTo(32L);
        assertThat(CONFIG.requireDouble("hidden_size")).isEqualTo(32.0);
        assertThat(CONFIG.requireDouble("eps")).isEqualTo(1e-5);
        assertThat(CONFIG.requireDouble("big")).isEqualTo(1e30);
        assertThat(CONFIG.requireString("act")).isEqualTo("silu");
        assertThat(CONFIG.requireBoolean("tie")).isTrue();
        assertThat(CONFIG.requireInts("eos")).containsExactly(1, 2);
        assertThat(CONFIG.requireStrings("targets")).containsExactly("q_proj", "v_proj");
        assertThat(CONFIG.requireObject("rope").requireObject("deep").requireString("x")).isEqualTo("y");
        assertThat(CONFIG.optDoubles("eos")).hasValue(List.of(1.0, 2.0));
    }

    @Test
    void nullAndAbsentAreTheSame() {
        for (String key : new String[] {"pad", "absent"}) {
            assertThat(CONFIG.has(key)).isFalse();
            assertThat(CONFIG.optInt(key)).isEmpty();
            assertThat(CONFIG.optInt(key, 7)).isEqualTo(7);
            assertThat(CONFIG.optString(key, "x")).isEqualTo("x");
            assertThat(CONFIG.optBoolean(key, true)).isTrue();
            assertThat(CONFIG.optDouble(key, 0.5)).isEqualTo(0.5);
            assertThat(CONFIG.optObject(key)).isEmpty();
            assertThat(CONFIG.optStrings(key)).isEmpty();
        }
    }

    @Test
    void aValueOfAnotherKindIsNamedWithFileAndKey() {
        refused(c -> c.requireInt("act"), "config.json: \"act\" must be a whole number of 32 bits, got a string 'silu'");
        refused(c -> c.requireInt("eps"), "\"eps\" must be a whole number of 32 bits, got a number '1.0E-5'");
        refused(c -> c.requireInt("big"), "\"big\" must be a whole number of 32 bits");
        refused(c -> c.optLong("big", 0), "\"big\" must be a whole number of 64 bits");
        refused(c -> c.optInt("tie", 3), "\"tie\" must be a whole number of 32 bits, got a boolean 'true'");
        refused(c -> c.requireDouble("nan"), "\"nan\" must be a finite number, got a number 'NaN'");
        refused(c -> c.requireString("hidden_size"), "\"hidden_size\" must be a string, got a number '32'");
        refused(c -> c.requireBoolean("hidden_size"), "\"hidden_size\" must be true or false, got a number '32'");
        refused(c -> c.requireObject("eos"), "\"eos\" must be an object, got a list");
        refused(c -> c.requireStrings("act"), "\"act\" must be a list, got a string 'silu'");
        refused(c -> c.requireStrings("eos"), "\"eos[0]\" must be a string, got a number '1'");
        refused(c -> c.requireObject("rope").requireInt("type"), "config.json: \"rope.type\" must be");
        refused(c -> c.optObjects("blocks").orElseThrow().get(1).requireInt("n"), "config.json: \"blocks[1].n\" must be");
        refused(c -> c.requireInt("pad"), "\"pad\" is null and must have a value");
        refused(c -> c.requireInt("vocab_size"), "\"vocab_size\" is missing; there are [hidden_size, eps,");
    }

    @Test
    void keysNobodyAskedForAreKnown() {
        JsonObject config = Json.parse("{\"a\": 1, \"b\": {\"c\": 2}, \"d\": null}", "x");
        config.requireInt("a");
        config.has("e");
        assertThat(config.unknownKeys()).containsExactly("b", "d");
        assertThat(config.requireObject("b").unknownKeys()).containsExactly("c");
        assertThat(config.unknownKeys()).containsExactly("d");
    }

    @Test
    void valuesThatSayNothingAreNeutral() {
        assertThat(CONFIG.keys().stream().filter(CONFIG::isNeutral)).containsExactly("pad", "none", "nothing", "empty", "off");
        assertThat(CONFIG.isNeutral("absent")).isTrue();
    }

    @Test
    void theKindOfAValueCanBeAsked() {
        assertThat(CONFIG.isList("eos")).isTrue();
        assertThat(CONFIG.isString("act")).isTrue();
        assertThat(CONFIG.isObject("rope")).isTrue();
        assertThat(CONFIG.isNumber("eps")).isTrue();
        assertThat(CONFIG.isList("act") || CONFIG.isString("eos") || CONFIG.isObject("eos") || CONFIG.isNumber("pad")).isFalse();
    }

    @Test
    void everythingComesAsPlainValues() {
        Map<String, Object> map = CONFIG.toMap();
        assertThat(map).containsEntry("hidden_size", 32).containsEntry("big", new BigInteger("1000000000000000019884624838656"))
                .containsEntry("pad", null).containsEntry("eos", List.of(1, 2)).containsEntry("nothing", Map.of());
        assertThat(map.get("rope")).isEqualTo(Map.of("type", "llama3", "factor", 8, "deep", Map.of("x", "y")));
        assertThat(Json.parse(Json.format(map), "again").toMap()).isEqualTo(map);
    }

    @Test
    void itIsWrittenAsPythonWritesIt() throws IOException {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("a", 1);
        config.put("b", List.of("x", 2));
        config.put("c", Map.of());
        config.put("d", List.of());
        config.put("e", Map.of("f", 1e-6));
        config.put("g", null);
        Path file = folder.resolve("new/config.json");
        Json.write(file, config);
        assertThat(file).hasContent("""
                {
                  "a": 1,
                  "b": [
                    "x",
                    2
                  ],
                  "c": {},
                  "d": [],
                  "e": {
                    "f": 1.0E-6
                  },
                  "g": null
                }
                """);
    }

    @Test
    void anAdapterConfigOfThePythonLibraryIsWrittenByteByByte() throws IOException {
        Path file = Golden.path("peft/llama-gqa-tied/lora/adapter_config.json");
        assertThat(Json.format(Json.read(file).toMap()).strip()).isEqualTo(Files.readString(file).strip());
    }

    @Test
    void whatIsNoObjectOrNoJsonIsRefused() throws IOException {
        String[] malformed = {"", " ", "[]", "3", "null", "\"x\"", "{", "{\"a\": }", "{\"a\": 1,}", "{'a': 1}", "{\"a\": 1} x",
                "{\"a\": 1}{}",
                "{\"a\": 1, \"a\": 2}", "{\"a\": {\"b\": 1, \"b\": 2}}", "{\"a\": 01}", "{\"a\": \"\\x\"}", "{\"a\": \"line\nbreak\"}",
                "// comment\n{}", "{\"a\": " + "[".repeat(100_000), "{\"a\": " + "9".repeat(100_000) + "}"};
        for (String text : malformed) {
            Path file = Files.writeString(folder.resolve("config.json"), text);
            assertThatThrownBy(() -> Json.read(file)).as(text.substring(0, Math.min(30, text.length())))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageStartingWith(file + ": ");
        }
        Path file = folder.resolve("config.json");
        Files.write(file, new byte[] {'{', '"', (byte) 0xc3, '"', ':', '1', '}'});
        assertThatThrownBy(() -> Json.read(file)).isInstanceOf(CheckpointException.class).hasMessageContaining("not UTF-8");
        assertThatThrownBy(() -> Json.read(folder.resolve("none.json"))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("does not exist");
        assertThatThrownBy(() -> Json.read(folder)).isInstanceOf(CheckpointException.class).hasMessageContaining("is not a file");
    }

    @Test
    void aHugeFileIsRefusedBeforeItIsRead() throws IOException {
        Path file = folder.resolve("huge.json");
        try (var channel = Files.newByteChannel(file, java.nio.file.StandardOpenOption.CREATE, java.nio.file.StandardOpenOption.WRITE)) {
            channel.position(1L << 36).write(java.nio.ByteBuffer.wrap(new byte[] {'}'})); // a hole of 64 GiB, which takes no room
        }
        assertThatThrownBy(() -> Json.read(file)).isInstanceOf(CheckpointException.class).hasMessageContaining("has 68719476737 bytes");
    }

    private static void refused(Function<JsonObject, Object> reading, String message) {
        assertThatThrownBy(() -> reading.apply(CONFIG)).isInstanceOf(CheckpointException.class).hasMessageContaining(message);
    }
}
