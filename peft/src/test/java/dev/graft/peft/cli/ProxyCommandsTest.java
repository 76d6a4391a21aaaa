package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpServer;
import dev.graft.models.CausalLm;
import dev.graft.models.Golden;
import dev.graft.models.GoldenTensors;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.Generator;
import dev.graft.models.generate.Session;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.TensorSource;
import dev.graft.models.proxy.ProxyTuning;
import dev.graft.models.text.BpeTrainer;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.Peft;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// `--proxy-…` and `--alpha` of generate, eval and logits.
class ProxyCommandsTest extends CommandTest {
    private static final String PROMPT = "Ann has 3 apples";

    @TempDir
    static Path shared;
    private static Path large;
    private static Path small;
    private static Path tuned;
    private static Path adapter;

    @TempDir
    Path folder;

    @BeforeAll
    static void make() throws IOException {
        large = TinyModel.model(shared.resolve("large"), 32, 5);
        small = TinyModel.model(shared.resolve("small"), 16, 6);
        adapter = shared.resolve("lora");
        try (CausalLm model = ModelLoader.load(small); Peft peft = Peft.attach(model, Lora.of(4, 16, "q_proj", "down_proj"), 3)) {
            try (var _ = Scope.untracked()) {
                peft.parameters().forEach(p -> p.value().assign(p.value().add(Tensor.randn(DType.F32, p.shape(), 4).mul(0.3))));
            }
            peft.save(adapter);
        }
        tuned = shared.resolve("tuned");
        prepare("merge", "--model", small, "--adapter", adapter, "--output", tuned);
    }

    /// What `generate` prints.
    private String generate(Object... args) {
        assertThat(graft(join(new Object[] {"generate", "--model", large, "--max-new-tokens", 12}, args))).as(err.toString()).isZero();
        return out.toString();
    }

    // ---- logits ----

    @ParameterizedTest
    @ValueSource(strings = {"0.0", "0.5", "1.0", "1.6"})
    void logitsAreTheReferences(String alpha) {
        Path golden = Golden.path("proxy-tuning");
        try (GoldenTensors io = GoldenTensors.of("proxy-tuning")) {
            int[][] ids = io.ints("alpha" + alpha + ".ids");
            int[][] mask = io.ints("attention_mask");
            int[][] whole = new int[ids.length][];
            for (int b = 0; b < ids.length; b++) {
                whole[b] = Arrays.copyOf(mask[b], ids[b].length);
                Arrays.fill(whole[b], mask[b].length, whole[b].length, 1);
            }
            Path input = folder.resolve("in.safetensors");
            Safetensors.write(input, List.of(ints("input_ids", ids), ints("attention_mask", whole), ints("labels", ids)));
            assertThat(graft("logits", "--model", golden.resolve("base"), "--proxy-expert", golden.resolve("expert"), "--proxy-anti-expert",
                    golden.resolve("antiexpert"), "--alpha", alpha, "--input", input, "--output", folder.resolve("io.safetensors")))
                    .as(err.toString()).isZero();
            try (GoldenTensors found = GoldenTensors.of(folder)) {
                float[] logits = found.floats("logits");
                float[] scores = io.floats("alpha" + alpha + ".scores");
                int vocab = 80, steps = 16, length = ids[0].length, prompt = mask[0].length;
                for (int b = 0; b < ids.length; b++) {
                    for (int s = 0; s < steps; s++) {
                        int at = (b * length + prompt - 1 + s) * vocab;
                        GoldenTensors.check("row %d step %d".formatted(b, s), Arrays.copyOfRange(logits, at, at + vocab),
                                Arrays.copyOfRange(scores, (b * steps + s) * vocab, (b * steps + s + 1) * vocab), 1e-4);
                    }
                }
                assertThat((double) found.floats("loss")[0]).isCloseTo(loss(logits, ids, vocab), within(1e-4));
            }
        }
    }

    private static double loss(float[] logits, int[][] ids, int vocab) {
        double sum = 0;
        int length = ids[0].length;
        for (int b = 0; b < ids.length; b++) {
            for (int t = 0; t + 1 < length; t++) {
                double total = 0;
                for (int v = 0; v < vocab; v++) total += Math.exp(logits[(b * length + t) * vocab + v]);
                sum += Math.log(total) - logits[(b * length + t) * vocab + ids[b][t + 1]];
            }
        }
        return sum / (ids.length * (length - 1));
    }

    @Test
    void logitsOfAnAdapterAreThoseOfItsMerge() {
        int[][] ids = {{1, 5, 9, 200, 33, 7}};
        Path input = folder.resolve("in.safetensors");
        Safetensors.write(input, List.of(ints("input_ids", ids), ints("attention_mask", new int[][] {{1, 1, 1, 1, 1, 1}})));
        float[][] found = new float[2][];
        Object[][] ways = {{"--proxy-expert", tuned}, {"--proxy-expert-adapter", adapter}};
        for (int i = 0; i < 2; i++) {
            Path output = folder.resolve("way" + i + "/io.safetensors");
            output.getParent().toFile().mkdirs();
            assertThat(graft(
                    join(new Object[] {"logits", "--model", large, "--proxy-anti-expert", small, "--input", input, "--output", output},
                            ways[i])))
                    .as(err.toString()).isZero();
            try (GoldenTensors io = GoldenTensors.of(output.getParent())) {
                found[i] = io.floats("logits");
            }
        }
        GoldenTensors.check("logits", found[1], found[0], 1e-5);
    }

    private static TensorSource ints(String name, int[][] rows) {
        long[] values = Arrays.stream(rows).flatMapToInt(Arrays::stream).asLongStream().toArray();
        MemorySegment bytes = MemorySegment.ofArray(new byte[8 * values.length]).copyFrom(MemorySegment.ofArray(values));
        return TensorSource.of(name, DType.I64, Shape.of(rows.length, rows[0].length), bytes);
    }

    // ---- generate ----

    @Test
    void generateSaysWhatTheLibrarySays() {
        String plain = generate(PROMPT);
        String steered = generate("--proxy-expert", tuned, "--proxy-anti-expert", small, "--alpha", 1.5, PROMPT);
        assertThat(steered).isNotEqualTo(plain);
        try (Tokenizer tokenizer = Tokenizer.load(large);
                CausalLm base = ModelLoader.load(large);
                CausalLm expert = ModelLoader.load(tuned);
                CausalLm anti = ModelLoader.load(small)) {
            GenerationConfig config = GenerationConfig.read(large).withMaxNewTokens(12).withEosIds(tokenizer.specialIds().eos());
            String text = new Generator(ProxyTuning.of(base, expert, anti).alpha(1.5), tokenizer, config).text(PROMPT);
            assertThat(steered).isEqualTo(PROMPT + text + System.lineSeparator());
        }
        assertThat(generate("--proxy-expert-adapter", adapter, "--proxy-anti-expert", small, "--alpha", 1.5, PROMPT)).isEqualTo(steered);
        assertThat(generate("--proxy-expert", tuned, "--proxy-anti-expert", small, "--alpha", 0, PROMPT)).isEqualTo(plain);
        assertThat(generate("--proxy-expert", tuned, "--proxy-anti-expert", small, "--alpha", 1.5, "--proxy-chat", "--proxy-cue", "apples",
                PROMPT))
                .as("the expert reads something else").isNotEqualTo(steered);
        assertThat(generate("--proxy-expert", tuned, "--proxy-anti-expert", small, "--alpha", 1.5, "--proxy-plausible", 1, PROMPT))
                .as("nothing but the base's best").isEqualTo(plain);
        assertThat(generate("--proxy-expert", tuned, "--proxy-anti-expert", small, "--alpha", 1.5, "--proxy-weights", "Q8", PROMPT))
                .startsWith(PROMPT)
                .as("weights of eight bits").isNotEqualTo(plain);
    }

    @Test
    void aReportIsWrittenAndTextsAreColoured() throws IOException {
        Object[] proxy = {"--proxy-expert-adapter", adapter, "--proxy-anti-expert", small, "--alpha", 1.5, PROMPT, "Ben has"};
        String plain = generate(proxy);
        Path json = folder.resolve("report.json");
        assertThat(generate(join(proxy, "--proxy-report", json))).isEqualTo(plain);
        JsonObject report = Json.read(json);
        assertThat(report.requireInt("steps")).isBetween(2, 24);
        assertThat(report.keys()).contains("changed", "shift", "by_position", "tokens", "equations", "texts");
        Path page = folder.resolve("report.txt");
        String coloured = generate(join(proxy, "--proxy-report", page, "--proxy-colours"));
        assertThat(coloured).contains("\u001b[");
        assertThat(coloured.replaceAll("\u001b\\[[0-9;]*m", "")).isEqualTo(plain);
        String stop = plain.substring(PROMPT.length() + 3, PROMPT.length() + 5);
        String cut = generate(join(proxy, "--stop", stop));
        assertThat(cut).doesNotContain(plain.substring(0, PROMPT.length() + 5));
        assertThat(generate(join(proxy, "--stop", stop, "--proxy-colours")).replaceAll("\u001b\\[[0-9;]*m", "")).isEqualTo(cut);
        assertThat(page).content().contains("tokens in 2 texts", "position");
        generate(join(proxy, "--beams", 3, "--proxy-report", json));
        assertThat(Json.read(json).requireInt("steps")).isPositive();
    }

    // ---- eval ----

    @Test
    void evalRecordsWhatSteered() throws IOException {
        Path records = TinyModel.records(folder.resolve("problems.jsonl"));
        Object[] ask = {"eval", "--model", large, "--data", records, "--kind", "numeric", "--beams", 1, "--max-new-tokens", 6, "--limit", 5,
                "--template", "short"};
        assertThat(graft(join(ask, "--output", folder.resolve("bare")))).as(err.toString()).isZero();
        assertThat(graft(join(ask, "--output", folder.resolve("zero"), "--proxy-expert-adapter", adapter, "--proxy-anti-expert", small,
                "--alpha", 0)))
                .as(err.toString()).isZero();
        assertThat(graft(join(ask, "--output", folder.resolve("two"), "--proxy-expert", tuned, "--proxy-anti-expert", small, "--alpha", 2)))
                .as(err.toString()).isZero();
        String bare = Files.readString(folder.resolve("bare/problems.json"));
        assertThat(folder.resolve("zero/problems.json")).hasContent(bare);
        assertThat(Files.readString(folder.resolve("two/problems.json"))).isNotEqualTo(bare);
        JsonObject proxy = Json.read(folder.resolve("two/problems.summary.json")).requireObject("proxy");
        assertThat(proxy.requireDouble("alpha")).isEqualTo(2);
        assertThat(proxy.requireObject("expert").requireString("folder")).isEqualTo("tuned");
        assertThat(proxy.requireObject("anti_expert").requireObject("sha256").keys()).contains("config.json");
        assertThat(folder.resolve("bare/problems.summary.json")).content().doesNotContain("proxy");
    }

    // ---- a server ----

    @Test
    void aServerTakesTheModelsPlace() throws IOException {
        try (CausalLm model = ModelLoader.load(large)) {
            AtomicBoolean down = new AtomicBoolean();
            List<JsonNode> asked = Collections.synchronizedList(new ArrayList<>());
            HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            server.createContext("/v1/completions", exchange -> {
                try (exchange) {
                    JsonNode question = new ObjectMapper().readTree(exchange.getRequestBody());
                    asked.add(question);
                    int[] ids = StreamSupport.stream(question.path("prompt").spliterator(), false).mapToInt(JsonNode::asInt).toArray();
                    byte[] answer = (down.get() && ids.length > 9 ? "down" : answer(model, ids)).getBytes(StandardCharsets.UTF_8);
                    exchange.sendResponseHeaders(down.get() && ids.length > 9 ? 400 : 200, answer.length);
                    exchange.getResponseBody().write(answer);
                }
            });
            server.start();
            try {
                Object[] there = {"--remote", "http://127.0.0.1:" + server.getAddress().getPort() + "/v1/completions", "--remote-model",
                        "m", "--remote-top",
                        300, "--remote-token-ids"};
                Object[] proxy = {"--proxy-expert", tuned, "--proxy-anti-expert", small, "--alpha", 1.5, PROMPT};
                assertThat(generate(join(there, PROMPT))).isEqualTo(generate(PROMPT));
                assertThat(generate(join(there, proxy))).isEqualTo(generate(proxy));
                Path records = TinyModel.records(folder.resolve("problems.jsonl"));
                assertThat(graft(join(new Object[] {"eval", "--model", large, "--data", records, "--kind", "numeric", "--beams", 1,
                        "--max-new-tokens", 2, "--limit",
                        2, "--template", "short", "--output", folder.resolve("remote")}, there))).as(err.toString()).isZero();
                assertThat(Json.read(folder.resolve("remote/problems.summary.json")).requireObject("model").requireString("remote"))
                        .isEqualTo("m");
                assertThat(generate(join(there, new Object[] {"--remote-floor", 0.5, "--remote-timeout", 20, "--remote-tries", 1, PROMPT})))
                        .isEqualTo(generate(PROMPT));
                assertThat(asked.getLast().path("prompt").isArray()).isTrue();
                graft(join(new Object[] {"generate", "--model", large, "--max-new-tokens", 2, "--remote-text", "--remote-skip-unknown",
                        PROMPT}, there));
                assertThat(asked.getLast().path("prompt").isTextual()).isTrue();
                down.set(true);
                assertThat(graft(join(new Object[] {"generate", "--model", large, "--max-new-tokens", 12}, join(there, PROMPT))))
                        .isEqualTo(1);
                assertThat(err.toString()).contains("prompt 1 was not completed: http://127.0.0.1:", "answered HTTP 400: 'down'");
            } finally {
                server.stop(0);
            }
        }
        refused("--remote needs --remote-model", "--remote", "http://localhost/v1/completions");
        refused("go with --remote", "--remote-top", 5);
        refused("go with --remote", "--remote-skip-unknown");
        Object[] there = {"--remote", "http://localhost/v1/completions", "--remote-model", "m"};
        refused("--remote-floor must be a number from 0, got -1.0", join(there, new Object[] {"--remote-floor", -1}));
        refused("--remote-timeout must be above 0, got 0.0", join(there, new Object[] {"--remote-timeout", 0}));
        refused("--remote-tries must be above 0, got 0", join(there, new Object[] {"--remote-tries", 0}));
        refused("--adapter is of a model that is here", "--remote", "http://localhost/v1/completions", "--remote-model", "m", "--adapter",
                adapter);
        refused("begins with http:// or https://", "--remote", "ftp://localhost/v1", "--remote-model", "m");
    }

    private static String answer(CausalLm model, int[] ids) {
        Map<String, Object> tokens = new LinkedHashMap<>();
        try (Session session = model.open(List.of(ids), 1)) {
            float[] scores = session.logits()[0];
            double sum = 0;
            for (float score : scores) sum += Math.exp(score);
            for (int id = 0; id < scores.length; id++) tokens.put("token_id:" + id, scores[id] - Math.log(sum));
        }
        return Json.line(Map.of("choices", List.of(Map.of("logprobs", Map.of("top_logprobs", List.of(tokens))))));
    }

    // ---- wrong use ----

    private void refused(String message, Object... args) {
        assertThat(graft(join(new Object[] {"generate", "--model", large, "--max-new-tokens", 1, PROMPT}, args))).isNotZero();
        assertThat(err.toString()).contains(message).doesNotContain("\tat ");
    }

    @Test
    void wrongOptionsAreToldByName() throws IOException {
        refused("--proxy-expert needs --proxy-anti-expert", "--proxy-expert", tuned);
        refused("--proxy-expert-adapter needs --proxy-anti-expert", "--proxy-expert-adapter", adapter);
        refused("--proxy-anti-expert needs an expert", "--proxy-anti-expert", small);
        refused("either --proxy-expert or --proxy-expert-adapter", "--proxy-anti-expert", small, "--proxy-expert", tuned,
                "--proxy-expert-adapter", adapter);
        refused("--alpha says how far", "--alpha", 1);
        refused("--alpha must be a finite number, got NaN", "--proxy-anti-expert", small, "--proxy-expert", tuned, "--alpha", "NaN");
        refused("--proxy-plausible must be from 0 to 1, got 2.0", "--proxy-anti-expert", small, "--proxy-expert", tuned,
                "--proxy-plausible", 2);
        refused("--proxy-plausible bounds", "--proxy-plausible", 0.1);
        refused("'--alpha'", "--proxy-anti-expert", small, "--proxy-expert", tuned, "--alpha", "much");
        refused("--proxy-report and --proxy-colours show", "--proxy-colours");
        refused("--proxy-system and --proxy-cue go with --proxy-chat", "--proxy-anti-expert", small, "--proxy-expert", tuned, "--proxy-cue",
                "A");
        refused("none/config.json: does not exist", "--proxy-anti-expert", folder.resolve("none"), "--proxy-expert", tuned);
        Path strange = folder.resolve("strange");
        Files.createDirectories(strange);
        for (String name : List.of("config.json", "model.safetensors"))
            Files.copy(small.resolve(name), strange.resolve(name), StandardCopyOption.REPLACE_EXISTING);
        BpeTrainer.train(Stream.of("quite other words and letters zzz"), 300, strange);
        refused("models that are added up must share one vocabulary", "--proxy-anti-expert", strange, "--proxy-expert", tuned);
        assertThat(err.toString()).contains(large.toString(), strange.toString(), "in the first and");
        Path input = folder.resolve("in.safetensors");
        Safetensors.write(input, List.of(ints("input_ids", new int[][] {{1, 2}}), ints("attention_mask", new int[][] {{1, 1}})));
        assertThat(graft("logits", "--model", large, "--proxy-anti-expert", small, "--proxy-expert", tuned, "--grads", "--input", input,
                "--output",
                folder.resolve("o"))).isEqualTo(2);
        assertThat(err.toString()).contains("--grads asks for what trains one model");
    }
}
