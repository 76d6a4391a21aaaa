package dev.graft.models.remote;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.graft.models.Golden;
import dev.graft.models.SharedFolder;
import dev.graft.models.generate.FinishReason;
import dev.graft.models.generate.Generation;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.Generator;
import dev.graft.models.io.Json;
import dev.graft.models.text.Tokenizer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The client against a server that answers, and against one that does everything servers do wrong.
class OpenAiCompletionsTest {
    private static final String SECRET = "sk-very-secret-17";

    private static Tokenizer tokenizer;

    private HttpServer server;
    private Answer answer;
    private final List<JsonNode> questions = Collections.synchronizedList(new ArrayList<>());
    private final List<String> authorisations = Collections.synchronizedList(new ArrayList<>());

    private interface Answer {
        void to(JsonNode question, HttpExchange exchange) throws IOException;
    }

    @BeforeAll
    static void load() {
        tokenizer = Tokenizer.load(Golden.path("tokenizers/gpt2-style"));
    }

    @AfterAll
    static void free() {
        tokenizer.close();
    }

    @BeforeEach
    void serve() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/v1/completions", exchange -> {
            JsonNode question = new ObjectMapper().readTree(exchange.getRequestBody());
            questions.add(question);
            authorisations.add(String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")));
            try (exchange) {
                answer.to(question, exchange);
            }
        });
        server.start();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    private OpenAiCompletions.Settings settings() {
        URI url = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/v1/completions");
        return OpenAiCompletions.Settings.of(url, "large").withKey(new ApiKey(SECRET)).withTop(3).withPatience(Duration.ofSeconds(5), 3,
                Duration.ofMillis(1));
    }

    private TopTokens ask(OpenAiCompletions.Settings settings) {
        try (OpenAiCompletions client = new OpenAiCompletions(settings, tokenizer)) {
            return client.after(new int[] {5, 9, 2});
        }
    }

    private static void send(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    private static String listing(Map<String, Object> tokens) {
        return Json.line(Map.of("id", "cmpl-1", "object", "text_completion", "choices",
                List.of(Map.of("index", 0, "text", "x", "logprobs", Map.of("tokens", List.of("x"), "top_logprobs", List.of(tokens))))));
    }

    private static Map<String, Object> tokens(Object... tokensAndValues) {
        Map<String, Object> tokens = new LinkedHashMap<>();
        for (int i = 0; i < tokensAndValues.length; i += 2) tokens.put((String) tokensAndValues[i], tokensAndValues[i + 1]);
        return tokens;
    }

    /// A piece of the vocabulary as servers write it, and its id: some with a space in front, some without.
    private static Map<String, Integer> pieces(int count) {
        Map<String, Integer> pieces = new LinkedHashMap<>();
        for (int id = tokenizer.vocabSize() - 1; id >= 0 && pieces.size() < count; id--) {
            String spelt = tokenizer.token(id).orElse("");
            if (tokenizer.special(id) || !spelt.matches("Ġ?[a-z]+")) continue;
            pieces.put(spelt.replace('Ġ', ' '), id);
        }
        return pieces;
    }

    @Test
    void anAnswerBecomesIdsAndLogProbabilities() {
        Map<String, Integer> pieces = pieces(40);
        assertThat(pieces.keySet()).anyMatch(p -> p.startsWith(" ")).anyMatch(p -> !p.startsWith(" "));
        Map<String, Object> listed = new LinkedHashMap<>();
        pieces.keySet().forEach(piece -> listed.put(piece, -0.25 * (listed.size() + 1)));
        answer = (_, exchange) -> send(exchange, 200, listing(listed));
        TopTokens top = ask(settings().withTop(40));
        assertThat(top.ids()).containsExactly(pieces.values().stream().mapToInt(Integer::intValue).toArray());
        for (int i = 0; i < 40; i++) assertThat((double) top.logProbabilities()[i]).isCloseTo(-0.25 * (i + 1), within(1e-6));
        JsonNode question = questions.getFirst();
        assertThat(question.toString())
                .isEqualTo("{\"model\":\"large\",\"prompt\":[5,9,2],\"max_tokens\":1,\"temperature\":0,\"logprobs\":40}");
        assertThat(authorisations).containsExactly("Bearer " + SECRET);
    }

    @Test
    void aVocabularyOfSentencePieceIsReadAsServersWriteIt() {
        try (Tokenizer llama = Tokenizer.load(SharedFolder.path("golden/tokenizers/llama-spm-32k"))) {
            TokenTexts texts = new TokenTexts(llama);
            for (String spelt : List.of("▁the", "the", "A", "▁A", "▁", "\n", "</s>")) {
                String written = spelt.equals("\n") ? spelt : spelt.replace('▁', ' ');
                int expected = llama.id(spelt.equals("\n") ? "<0x0A>" : spelt).getAsInt();
                assertThat(texts.id(written)).as(spelt).hasValue(expected);
            }
            assertThat(texts.id("䷀䷁")).isEmpty();
        }
    }

    @Test
    void promptsMayGoAsTextAndTokensComeAsIds() {
        answer = (_, exchange) -> send(exchange, 200, listing(tokens("token_id:3", -0.5, "token_id:11", -1, "token_id:0", -2.5)));
        assertThat(ask(settings().tokensAsIds().promptsAsText()).ids()).containsExactly(3, 11, 0);
        assertThat(questions.getFirst().path("prompt").asText()).isEqualTo(tokenizer.decode(new int[] {5, 9, 2}, true));
        assertThat(questions.getFirst().path("return_tokens_as_token_ids").asBoolean()).isTrue();
    }

    @Test
    void whatIsWrongIsSaid() {
        Map<String, Answer> wrong = new LinkedHashMap<>();
        wrong.put("answered with what is not JSON: '<html>busy</html>'", (_, x) -> send(x, 200, "<html>busy</html>"));
        wrong.put("gave no log-probabilities: there is no choices[0].logprobs.top_logprobs[0] in '{\"choices\":[]}'",
                (_, x) -> send(x, 200, "{\"choices\":[]}"));
        wrong.put("gave no log-probabilities", (_, x) -> send(x, 200, "{\"choices\":[{\"text\":\"x\",\"logprobs\":null}]}"));
        wrong.put("gave 2 log-probabilities where 3 were asked for; if it has no more, ask for 2",
                (_, x) -> send(x, 200, listing(tokens("a", -1, "b", -2))));
        wrong.put("gave a token '䷀䷁', which is not in the vocabulary", (_, x) -> send(x, 200, listing(tokens("a", -1, "b", -2, "䷀䷁", -3))));
        wrong.put("gave 0.7 for the log-probability of 'b', which must be a number up to 0",
                (_, x) -> send(x, 200, listing(tokens("a", -1, "b", 0.7, "c", -3))));
        wrong.put("gave \"low\" for the log-probability of 'c'", (_, x) -> send(x, 200, listing(tokens("a", -1, "b", -1, "c", "low"))));
        wrong.put("answered HTTP 400: 'logprobs is at most 5'",
                (_, x) -> send(x, 400, "{\"error\":{\"message\":\"logprobs is at most 5\"}}"));
        wrong.put("answered HTTP 401: 'no such key: …'",
                (_, x) -> send(x, 401, "{\"error\":{\"message\":\"no such key: " + SECRET + "\"}}"));
        wrong.forEach((message, said) -> {
            answer = said;
            questions.clear();
            assertThatThrownBy(() -> ask(settings())).isInstanceOf(RemoteException.class).hasMessageContaining(message)
                    .hasMessageStartingWith("http://127.0.0.1:" + server.getAddress().getPort() + "/v1/completions ")
                    .hasMessageNotContaining(SECRET);
            assertThat(questions).as("asking again would not help: " + message).hasSize(1);
        });
    }

    /// Two tokens that are spelt alike count once, by the better; some bytes of a character are no token of their own.
    @Test
    void spellingsThatAreNotOneTokensOwnDoNotEndAText() {
        String listed = "{\"choices\":[{\"logprobs\":{\"top_logprobs\":[{\"a\":-0.5,\"\uFFFD\":-1,\"bytes:\\\\xe2\\\\x80\":-1.5,\"a\":-3,\"b\":-2}]}}]}";
        answer = (_, x) -> send(x, 200, listed);
        TopTokens top = ask(settings().withTop(5));
        assertThat(top.ids()).containsExactly(tokenizer.id("a").getAsInt(), tokenizer.id("b").getAsInt());
        assertThat(top.logProbabilities()).containsExactly(-0.5f, -2f);
        answer = (_, x) -> send(x, 200, listing(tokens("a", -0.5, "\uFFFD", -1)));
        assertThat(ask(settings().withTop(5)).ids()).as("the server may have had four that it spells so")
                .containsExactly(tokenizer.id("a").getAsInt());
        answer = (_, x) -> send(x, 200, listing(tokens("\uFFFD", -0.1)));
        assertThatThrownBy(() -> ask(settings())).hasMessageContaining("gave no token that is in the vocabulary: [\uFFFD]");
    }

    /// llama.cpp's server lists ids.
    @Test
    void aListWithIdsIsRead() {
        List<Map<String, Object>> listed = List.of(Map.of("id", 7, "token", "\uFFFD", "bytes", List.of(226), "logprob", -0.25),
                Map.of("id", 3, "token", "nothing like it", "bytes", List.of(), "logprob", -1.5), Map.of("token", "b", "logprob", -2));
        answer = (_, x) -> send(x, 200, Json.line(Map.of("choices",
                List.of(Map.of("text", "x", "logprobs", Map.of("content", List.of(Map.of("token", "x", "top_logprobs", listed))))))));
        TopTokens top = ask(settings());
        assertThat(top.ids()).containsExactly(7, 3, tokenizer.id("b").getAsInt());
        assertThat(top.logProbabilities()).containsExactly(-0.25f, -1.5f, -2f);
        answer = (_, x) -> send(x, 200,
                "{\"choices\":[{\"logprobs\":{\"content\":[{\"top_logprobs\":[{\"id\":99999999,\"token\":\"a\",\"logprob\":-1}]}]}}]}");
        assertThatThrownBy(() -> ask(settings().withTop(1))).hasMessageContaining("gave a token 'a', which is not in the vocabulary");
    }

    /// Nor in part, where what a server says is cut; nor as JSON or URLs write it.
    @Test
    void noFormOfTheKeyIsShown() {
        String key = "sk/very\"secret+17\\x";
        for (String body : List.of("y".repeat(190) + key,
                "{\"error\":{\"message\":\"" + "y".repeat(190) + "sk\\/very\\\"secret+17\\\\x\"}}",
                "{\"detail\":\"no s\\u006b/very\\\"secret+17\\\\x\"}", "at /?key=sk%2Fvery%22secret%2B17%5Cx",
                "sk\\/very\\\"secret+17\\\\x {")) {
            answer = (_, x) -> send(x, 401, body);
            assertThatThrownBy(() -> ask(settings().withKey(new ApiKey(key)))).hasMessageContaining("answered HTTP 401")
                    .hasMessageContaining("…").hasMessageNotContaining("very").hasMessageNotContaining("sk/")
                    .hasMessageNotContaining("sk\\");
        }
    }

    @Test
    void unknownTokensCanBeLeftOut() {
        answer = (_, x) -> send(x, 200, listing(tokens("䷀䷁", -0.1, "b", -2, "䷂", -3)));
        TopTokens top = ask(settings().skippingUnknownTokens());
        assertThat(top.ids()).containsExactly(tokenizer.id("b").getAsInt());
        answer = (_, x) -> send(x, 200, listing(tokens("䷀䷁", -0.1, "䷃", -2, "䷂", -3)));
        assertThatThrownBy(() -> ask(settings().skippingUnknownTokens())).hasMessageContaining("gave no token that is in the vocabulary");
    }

    @Test
    void busyAndBrokenServersAreAskedAgain() {
        for (int status : new int[] {429, 500, 503}) {
            AtomicInteger times = new AtomicInteger();
            answer = (_, x) -> {
                if (times.incrementAndGet() < 3) send(x, status, "{\"error\":{\"message\":\"slow down\"}}");
                else send(x, 200, listing(tokens("a", -1, "b", -2, "c", -3)));
            };
            assertThat(ask(settings()).ids()).hasSize(3);
            answer = (_, x) -> send(x, status, "{\"error\":{\"message\":\"slow down\"}}");
            questions.clear();
            assertThatThrownBy(() -> ask(settings()))
                    .hasMessageContaining("answered HTTP %d: 'slow down' (asked 3 times)".formatted(status));
            assertThat(questions).hasSize(3);
        }
    }

    @Test
    void whatAServerSaysOfWaitingIsHeeded() {
        AtomicInteger times = new AtomicInteger();
        answer = (_, x) -> {
            x.getResponseHeaders().set("Retry-After", "1");
            if (times.incrementAndGet() == 1) send(x, 429, "");
            else send(x, 200, listing(tokens("a", -1, "b", -2, "c", -3)));
        };
        long start = System.nanoTime();
        ask(settings());
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(Duration.ofSeconds(1));
    }

    @Test
    void silenceAndAbsenceAreTold() {
        answer = (_, _) -> silent();
        assertThatThrownBy(() -> ask(settings().withPatience(Duration.ofMillis(150), 2, Duration.ZERO)))
                .hasMessageContaining("did not answer within 0.15 s (asked 2 times)");
        answer = (_, x) -> x.close();
        assertThatThrownBy(() -> ask(settings())).hasMessageContaining("cannot be reached").hasMessageContaining("(asked 3 times)");
        OpenAiCompletions.Settings gone = settings();
        server.stop(0);
        assertThatThrownBy(() -> ask(gone)).hasMessageContaining("cannot be reached").hasMessageNotContaining(SECRET);
    }

    private static void silent() {
        try {
            Thread.sleep(2000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Test
    void oneTextThatGetsNoAnswerDoesNotEndTheOthers() {
        Map<String, Integer> pieces = pieces(6);
        List<String> names = List.copyOf(pieces.keySet());
        answer = (question, x) -> {
            int first = question.path("prompt").path(0).asInt();
            int length = question.path("prompt").size();
            if (length >= 4 && first == 5) send(x, 500, "down");
            else if (length >= 3 && first == 6) send(x, 200, "rubbish");
            else if (length >= 2 && first == 8) send(x, 200, listing(tokens(names.getFirst(), -0.5)));
            else if (first == 9) silent();
            else
                send(x, 200,
                        listing(tokens(names.get(length % 6), -0.5, names.get((length + 1) % 6), -1.5, names.get((length + 2) % 6), -2)));
        };
        OpenAiCompletions.Settings impatient = settings().withPatience(Duration.ofSeconds(1), 1, Duration.ZERO);
        try (OpenAiCompletions client = new OpenAiCompletions(impatient, tokenizer)) {
            List<Generation> texts = new Generator(RemoteModel.of(client, tokenizer.vocabSize()), tokenizer,
                    GenerationConfig.defaults().withMaxNewTokens(6))
                    .generate(List.of(new int[] {5}, new int[] {7}, new int[] {6}, new int[] {8}, new int[] {9}));
            assertThat(texts.stream().map(Generation::reason)).containsExactly(FinishReason.FAILED, FinishReason.LENGTH,
                    FinishReason.FAILED, FinishReason.FAILED, FinishReason.FAILED);
            assertThat(texts.get(0).ids()).hasSize(3);
            assertThat(texts.get(0).failure().orElseThrow()).contains("HTTP 500: 'down'");
            assertThat(texts.get(2).ids()).hasSize(2);
            assertThat(texts.get(2).failure().orElseThrow()).contains("not JSON: 'rubbish'");
            assertThat(texts.get(3).ids()).hasSize(1);
            assertThat(texts.get(3).failure().orElseThrow()).contains("gave 1 log-probabilities where 3 were asked for");
            assertThat(texts.get(4).ids()).isEmpty();
            assertThat(texts.get(4).failure().orElseThrow()).contains("did not answer within 1.0 s");
            int[] expected = new int[6];
            for (int t = 0; t < 6; t++) expected[t] = pieces.get(names.get((t + 1) % 6));
            assertThat(texts.get(1).ids()).containsExactly(expected);
            assertThat(texts.get(0).text().orElseThrow()).isNotEmpty();
        }
    }

    @Test
    void settingsAreCheckedAndKeepTheSecret() {
        URI url = URI.create("http://localhost/v1/completions");
        OpenAiCompletions.Settings settings = OpenAiCompletions.Settings.of(url, "m").withKey(new ApiKey(SECRET));
        assertThat(settings.toString()).doesNotContain(SECRET);
        assertThatThrownBy(() -> OpenAiCompletions.Settings.of(URI.create("ftp://x/y"), "m")).hasMessageContaining("http://");
        for (String withPassword : List.of("http://me:hidden@localhost/v1", "http://me:hidden@my_host/v1", "http:me:hidden@localhost")) {
            assertThatThrownBy(() -> OpenAiCompletions.Settings.of(URI.create(withPassword), "m")).hasMessageStartingWith("[remote]")
                    .hasMessageNotContaining("hidden");
        }
        assertThatThrownBy(() -> settings.withTop(0)).hasMessageContaining("at least one token");
        assertThatThrownBy(() -> settings.withPatience(Duration.ZERO, 1, Duration.ZERO)).hasMessageContaining("timeout");
        assertThatThrownBy(() -> settings.withPatience(Duration.ofSeconds(1), 0, Duration.ZERO)).hasMessageContaining("at least once");
        assertThatThrownBy(() -> new ApiKey("a b\n")).hasMessageContaining("printable").hasMessageNotContaining("a b");
    }
}
