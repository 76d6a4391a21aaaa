package dev.graft.models.remote;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import dev.graft.models.io.Json;
import dev.graft.models.text.Tokenizer;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/// Asks a server that speaks OpenAI's completions protocol (`POST …/v1/completions` with `logprobs`), as OpenAI, vLLM and llama.cpp's server do.
///
/// ```java
/// var server = OpenAiCompletions.Settings.of(URI.create("http://localhost:8000/v1/completions"), "llama-70b").withKey(new ApiKey(secret));
/// try (var base = new OpenAiCompletions(server, tokenizer)) {
///     ProxyTuning.of(RemoteModel.of(base, tokenizer.vocabSize()), expert, antiExpert)
/// }
/// ```
///
/// Where a server spells its tokens instead of giving their ids, those that are only some bytes of a character (`�`) cannot be told apart and are left out.
///
/// Busy (HTTP 429), broken (5xx), silent and unreachable servers are asked again, each time after twice the wait or what the server says; anything else that is
/// wrong is told at once. Messages hold what the server said, never the key.
public final class OpenAiCompletions implements NextTokens, AutoCloseable {
    @SuppressWarnings("serial")
    private static final ObjectMapper JSON = new ObjectMapper().setNodeFactory(new JsonNodeFactory() {
        @Override
        public ObjectNode objectNode() {
            return new Alike();
        }
    });
    private static final int LONGEST_ANSWER = 8 << 20;
    private static final int LONGEST_QUOTE = 200;
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);
    private static final double ROUNDING = 1e-3;

    /// An object in which two tokens may be spelt alike: the more probable one counts.
    @SuppressWarnings({"serial", "unchecked"})                                   // Jackson's own
    private static final class Alike extends ObjectNode {
        private int doubles;

        Alike() {
            super(JsonNodeFactory.instance);
        }

        @Override
        public JsonNode replace(String name, JsonNode value) {
            JsonNode before = get(name);
            if (before != null) doubles++;
            boolean less = before != null && before.isNumber() && value.isNumber() && before.asDouble() > value.asDouble();
            return super.replace(name, less ? before : value);
        }
    }

    /// How a server is asked.
    ///
    /// @param url      of its completions
    /// @param model    as the server calls it
    /// @param key      sent as `Authorization: Bearer …`
    /// @param top      how many tokens to ask for; OpenAI gives 5 at most
    /// @param asText   whether prompts go as text, for servers that take no ids; the text is then split into tokens there
    /// @param tokenIds whether the server spells tokens as `token_id:17` (vLLM), which is exact
    /// @param skipping whether tokens that are not in the vocabulary are left out rather than an error
    /// @param timeout  of one answer
    /// @param tries    how often to ask, the first time included
    /// @param between  wait before the second time; the double before the third
    public record Settings(URI url, String model, Optional<ApiKey> key, int top, boolean asText, boolean tokenIds, boolean skipping,
            Duration timeout, int tries, Duration between) {
        public Settings {
            if (url.getRawAuthority() != null && url.getRawAuthority().contains("@"))
                throw new IllegalArgumentException(
                        "[remote] a server's URL must not hold a user and a password; give its key as an ApiKey");
            if (url.getHost() == null || !"http".equals(url.getScheme()) && !"https".equals(url.getScheme()))
                throw new IllegalArgumentException("[remote] a server's URL begins with http:// or https:// and a host, got "
                        + url.toString().replaceAll("[^/@]*@", "…@"));
            if (top < 1) throw new IllegalArgumentException("[remote] at least one token must be asked for, got " + top);
            if (tries < 1) throw new IllegalArgumentException("[remote] a server must be asked at least once, got " + tries);
            if (!timeout.isPositive()) throw new IllegalArgumentException("[remote] a timeout must be above 0, got " + timeout);
            if (between.isNegative()) throw new IllegalArgumentException("[remote] a wait must not be negative, got " + between);
        }

        /// The five best tokens, ids for prompts, four tries of 60 seconds.
        public static Settings of(URI url, String model) {
            return new Settings(url, model, Optional.empty(), 5, false, false, false, Duration.ofSeconds(60), 4, Duration.ofSeconds(1));
        }

        public Settings withKey(ApiKey secret) {
            return new Settings(url, model, Optional.of(secret), top, asText, tokenIds, skipping, timeout, tries, between);
        }

        public Settings withTop(int tokens) {
            return new Settings(url, model, key, tokens, asText, tokenIds, skipping, timeout, tries, between);
        }

        public Settings promptsAsText() {
            return new Settings(url, model, key, top, true, tokenIds, skipping, timeout, tries, between);
        }

        public Settings tokensAsIds() {
            return new Settings(url, model, key, top, asText, true, skipping, timeout, tries, between);
        }

        public Settings skippingUnknownTokens() {
            return new Settings(url, model, key, top, asText, tokenIds, true, timeout, tries, between);
        }

        public Settings withPatience(Duration ofOneAnswer, int times, Duration wait) {
            return new Settings(url, model, key, top, asText, tokenIds, skipping, ofOneAnswer, times, wait);
        }
    }

    private final Settings settings;
    private final Tokenizer tokenizer;
    private final TokenTexts texts;
    private final HttpClient client;

    /// @param tokenizer of the server's model
    public OpenAiCompletions(Settings settings, Tokenizer tokenizer) {
        this.settings = settings;
        this.tokenizer = tokenizer;
        texts = settings.tokenIds ? null : new TokenTexts(tokenizer);
        client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(settings.timeout).build();
    }

    @Override
    public TopTokens after(int[] ids) {
        HttpRequest.Builder request = HttpRequest.newBuilder(settings.url).timeout(settings.timeout)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(question(ids)));
        settings.key.ifPresent(key -> request.header("Authorization", "Bearer " + key.value()));
        HttpRequest built = request.build();
        Duration wait = settings.between;
        for (int attempt = 1;; attempt++) {
            String problem;
            Duration asked = Duration.ZERO;
            try {
                HttpResponse<String> response = client.send(built,
                        BodyHandlers.limiting(BodyHandlers.ofString(StandardCharsets.UTF_8), LONGEST_ANSWER));
                int status = response.statusCode();
                if (status == 200) return tokens(response.body());
                problem = "answered HTTP %d: %s".formatted(status, said(response.body()));
                if (status == 404) throw problem(problem + "; such servers have a model's completions at …/v1/completions");
                if (status != 429 && status < 500) throw problem(problem);
                asked = response.headers().firstValue("Retry-After").map(OpenAiCompletions::seconds).orElse(Duration.ZERO);
            } catch (HttpTimeoutException e) {
                problem = "did not answer within " + seconds(settings.timeout);
            } catch (IOException e) {
                problem = "cannot be reached: " + (e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw problem("was not waited for: interrupted");
            }
            if (attempt == settings.tries) throw problem(problem + " (asked %d times)".formatted(attempt));
            pause(longer(wait, asked));
            wait = wait.multipliedBy(2);
        }
    }

    private String question(int[] ids) {
        Map<String, Object> question = new LinkedHashMap<>();
        question.put("model", settings.model);
        question.put("prompt", settings.asText ? tokenizer.decode(ids, true) : ids);
        question.put("max_tokens", 1);
        question.put("temperature", 0);
        question.put("logprobs", settings.top);
        if (settings.tokenIds) question.put("return_tokens_as_token_ids", true);
        return Json.line(question);
    }

    private TopTokens tokens(String body) {
        JsonNode answer;
        try {
            answer = JSON.readTree(body);
        } catch (JsonProcessingException e) {
            throw problem("answered with what is not JSON: " + quoted(body));
        }
        JsonNode given = answer.path("choices").path(0).path("logprobs");
        List<Listed> listed = listed(given);
        if (listed.isEmpty()) {
            throw problem("gave no log-probabilities: there is no choices[0].logprobs.top_logprobs[0] in " + quoted(answer.toString()));
        }
        int count = listed.size() + (given.path("top_logprobs").path(0) instanceof Alike alike ? alike.doubles : 0);
        boolean mayBeMore = listed.stream().anyMatch(OpenAiCompletions::isPart);         // such are spelt alike, and a server may have made one of several
        if (count < Math.min(settings.top, tokenizer.vocabSize()) && !mayBeMore)
            throw problem(
                    "gave %d log-probabilities where %d were asked for; if it has no more, ask for %1$d".formatted(count, settings.top));
        Map<Integer, Float> found = new LinkedHashMap<>();
        for (Listed token : listed) {
            double logProbability = token.value.asDouble(Double.NaN);
            if (!token.value.isNumber() || !(logProbability <= ROUNDING) || Double.isInfinite(logProbability)) {
                throw problem("gave %s for the log-probability of '%s', which must be a number up to 0".formatted(token.value,
                        token.spelt));
            }
            OptionalInt id = id(token);
            if (id.isPresent()) found.merge(id.getAsInt(), (float) logProbability, Math::max);
            else
                if (!settings.skipping && !isPart(token))
                    throw problem(
                            "gave a token '%s', which is not in the vocabulary; is its model the tokenizer's?".formatted(token.spelt));
        }
        if (found.isEmpty())
            throw problem("gave no token that is in the vocabulary: " + listed.stream().map(Listed::spelt).toList());
        float[] logProbabilities = new float[found.size()];
        int i = 0;
        for (float one : found.values()) logProbabilities[i++] = one;
        return new TopTokens(found.keySet().stream().mapToInt(Integer::intValue).toArray(), logProbabilities);
    }

    /// A token as an answer has it.
    ///
    /// @param id null where it is only spelt
    private record Listed(String spelt, JsonNode id, JsonNode value) {}

    /// `top_logprobs[0]` has spellings as keys (OpenAI, vLLM), `content[0].top_logprobs` is a list with ids (llama.cpp).
    private static List<Listed> listed(JsonNode logProbabilities) {
        List<Listed> all = new ArrayList<>();
        logProbabilities.path("top_logprobs").path(0).properties().forEach(e -> all.add(new Listed(e.getKey(), null, e.getValue())));
        for (JsonNode one : logProbabilities.path("content").path(0).path("top_logprobs")) {
            all.add(new Listed(one.path("token").asText(), one.get("id"), one.path("logprob")));
        }
        return all;
    }

    private OptionalInt id(Listed token) {
        if (token.id != null) return known(token.id.asInt(-1));
        if (settings.tokenIds) return numbered(token.spelt);
        return isPart(token) ? OptionalInt.empty() : texts.id(token.spelt);
    }

    /// Whether all that is known of it are some bytes of a character, as of several tokens.
    private static boolean isPart(Listed token) {
        return token.id == null && (token.spelt.indexOf('\uFFFD') >= 0 || token.spelt.startsWith("bytes:\\x"));
    }

    private OptionalInt known(int id) {
        return id >= 0 && id < tokenizer.vocabSize() ? OptionalInt.of(id) : OptionalInt.empty();
    }

    private OptionalInt numbered(String token) {
        try {
            return token.startsWith("token_id:") ? known(Integer.parseInt(token.substring("token_id:".length()))) : OptionalInt.empty();
        } catch (NumberFormatException e) {
            return OptionalInt.empty();
        }
    }

    private RemoteException problem(String what) {
        URI url = settings.url;                                                  // without what it may have of a secret
        String message = "%s://%s%s%s %s".formatted(url.getScheme(), url.getHost(), url.getPort() < 0 ? "" : ":" + url.getPort(),
                url.getPath(), what);
        return new RemoteException(masked(message));
    }

    /// The reason in an error's body, or its beginning.
    private String said(String body) {
        try {
            JsonNode json = JSON.readTree(body);
            JsonNode message = json.path("error").path("message");
            return quoted(message.isTextual() ? message.textValue() : json.toString());
        } catch (JsonProcessingException e) {
            // then as it is
        }
        return quoted(body);
    }

    private String quoted(String text) {
        String line = masked(text).strip().replaceAll("\\s+", " ");
        return "'" + (line.length() > LONGEST_QUOTE ? line.substring(0, LONGEST_QUOTE) + "…" : line) + "'";
    }

    /// Without the key, as it is or as JSON and URLs write it; before anything is cut, which could leave part of it.
    private String masked(String text) {
        if (settings.key.isEmpty()) return text;
        String key = settings.key.get().value();
        String written = TextNode.valueOf(key).toString();
        String inJson = written.substring(1, written.length() - 1);
        String masked = text;
        for (String form : List.of(key, inJson, inJson.replace("/", "\\/"), URLEncoder.encode(key, StandardCharsets.UTF_8))) {
            masked = masked.replace(form, "…");
        }
        return masked;
    }

    private static Duration seconds(String header) {
        try {
            return Duration.ofSeconds(Math.max(0, Long.parseLong(header.strip())));
        } catch (NumberFormatException e) {
            return Duration.ZERO;                                                // a date; our own wait will do
        }
    }

    private static String seconds(Duration duration) {
        return duration.toMillis() / 1000.0 + " s";
    }

    private static Duration longer(Duration a, Duration b) {
        Duration longer = a.compareTo(b) > 0 ? a : b;
        return longer.compareTo(LONGEST_WAIT) > 0 ? LONGEST_WAIT : longer;
    }

    private void pause(Duration wait) {
        try {
            Thread.sleep(wait);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw problem("was not waited for: interrupted");
        }
    }

    @Override
    public void close() {
        client.close();
    }
}
