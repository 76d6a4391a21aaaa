package dev.graft.peft.cli;

import dev.graft.models.generate.StepModel;
import dev.graft.models.remote.ApiKey;
import dev.graft.models.remote.OpenAiCompletions;
import dev.graft.models.remote.RemoteModel;
import dev.graft.models.text.Tokenizer;
import java.net.URI;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/// A model behind a server, in place of the one that a command would load.
final class RemoteOptions {
    private static final String KEY = "GRAFT_API_KEY";

    @Spec(Target.MIXEE)
    private CommandSpec spec;

    @Option(names = "--remote", paramLabel = "URL",
            description = "Ask this server instead of loading --model, of which only the tokenizer is read: the completions of OpenAI's protocol, as in "
                    + "http://localhost:8000/v1/completions. Its key, if it wants one, is taken from the environment variable " + KEY + ".")
    private URI url;

    @Option(names = "--remote-model", paramLabel = "NAME", description = "What the server calls the model.")
    private String name;

    @Option(names = "--remote-top", paramLabel = "K",
            description = "How many tokens' log-probabilities to ask for; no others can come (default: 5, OpenAI's most).")
    private Integer top;

    @Option(names = "--remote-token-ids", description = "The server spells tokens as token_id:17 when asked to (vLLM), which is exact.")
    private boolean tokenIds;

    @Option(names = "--remote-text", description = "Send prompts as text, to servers that take no token ids.")
    private boolean asText;

    @Option(names = "--remote-skip-unknown",
            description = "Leave out tokens that are not in the vocabulary; without it they end the text with an error.")
    private boolean skipping;

    @Option(names = "--remote-floor", paramLabel = "NATS",
            description = "Let tokens come that were not among the K, as if this much less probable than the last of them (default: they cannot come).")
    private Double floor;

    @Option(names = "--remote-timeout", paramLabel = "SECONDS", description = "How long to wait for an answer (default: 60).")
    private Double timeout;

    @Option(names = "--remote-tries", paramLabel = "N", description = "How often to ask a server that is busy or silent (default: 4).")
    private Integer tries;

    /// Whether a server is asked. Options that do not go together are a usage error.
    boolean given(ModelOptions options) {
        refuse(url == null
                && (name != null || top != null || tokenIds || asText || skipping || floor != null || timeout != null || tries != null),
                "options that begin with --remote- go with --remote");
        if (url == null) return false;
        refuse(name == null, "--remote needs --remote-model, what the server calls the model");
        refuse(top != null && top < 1, "--remote-top must be above 0, got " + top);
        refuse(floor != null && !(floor >= 0 && Double.isFinite(floor)), "--remote-floor must be a number from 0, got " + floor);
        refuse(timeout != null && !(timeout >= 0.001 && timeout < 1e6), "--remote-timeout must be above 0, got " + timeout);
        refuse(tries != null && tries < 1, "--remote-tries must be above 0, got " + tries);
        refuse(!options.adapters.isEmpty(), "--adapter is of a model that is here; with --remote, steer by --proxy-expert");
        return true;
    }

    private void refuse(boolean wrong, String message) {
        if (wrong) throw new ParameterException(spec.commandLine(), message);
    }

    /// A connection; closes it.
    record Server(StepModel model, OpenAiCompletions client) implements AutoCloseable {
        @Override
        public void close() {
            client.close();
        }
    }

    Server connect(Tokenizer tokenizer) {
        OpenAiCompletions.Settings settings = OpenAiCompletions.Settings.of(url, name).withTop(top());
        String key = System.getenv(KEY);
        if (key != null && !key.isBlank()) settings = settings.withKey(secret(key.strip()));
        if (tokenIds) settings = settings.tokensAsIds();
        if (asText) settings = settings.promptsAsText();
        if (skipping) settings = settings.skippingUnknownTokens();
        settings = settings.withPatience(timeout == null ? settings.timeout() : Duration.ofMillis(Math.round(1000 * timeout)),
                tries == null ? settings.tries() : tries, settings.between());
        OpenAiCompletions client = new OpenAiCompletions(settings, tokenizer);
        RemoteModel model = RemoteModel.of(client, tokenizer.vocabSize());
        return new Server(floor == null ? model : model.withFloor(floor), client);
    }

    private static ApiKey secret(String key) {
        try {
            return new ApiKey(key);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("the environment variable " + KEY + ": " + e.getMessage(), e);
        }
    }

    private int top() {
        return top == null ? 5 : top;
    }

    /// What of this can change an answer, for result files; nothing of where the server is.
    Map<String, Object> describe() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("remote", name);
        json.put("top_tokens", top());
        if (asText) json.put("prompts", "text");
        if (skipping) json.put("unknown_tokens", "skipped");
        if (floor != null) json.put("floor", floor);
        return json;
    }
}
