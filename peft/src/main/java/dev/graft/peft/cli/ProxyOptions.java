package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.models.LoadOptions;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.MinP;
import dev.graft.models.generate.StepModel;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.proxy.ChatPrompt;
import dev.graft.models.proxy.Contrast;
import dev.graft.models.proxy.Prompted;
import dev.graft.models.proxy.ProxyTuning;
import dev.graft.models.proxy.SharedVocabulary;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.AdapterBank;
import dev.graft.peft.AdapterContrast;
import dev.graft.peft.Peft;
import dev.graft.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/// Which small models steer the one a command runs, and how far: the options of proxy-tuning.
final class ProxyOptions {
    private static final String EXPERT = "expert";

    @Spec(Target.MIXEE)
    private CommandSpec spec;

    @Option(names = "--proxy-expert", paramLabel = "DIR",
            description = "Steers --model while decoding, as if it were tuned (proxy-tuning): by what this small tuned model ...")
    private Path expert;

    @Option(names = "--proxy-anti-expert", paramLabel = "DIR",
            description = "... says that this one, the same before it was tuned, does not.")
    private Path antiExpert;

    @Option(names = "--proxy-expert-adapter", paramLabel = "DIR",
            description = "Instead of --proxy-expert: the anti-expert with this adapter, in one pass over one copy of its weights.")
    private Path adapter;

    @Option(names = "--alpha", paramLabel = "X", description = "How far it is steered: 0 not at all, 1 the whole difference (default: 1).")
    private Double alpha;

    @Option(names = "--proxy-plausible", paramLabel = "P",
            description = "Only tokens that --model itself finds at least P times as probable as its best one, whatever the small models say of "
                    + "others (default: 0, all; contrastive decoding has 0.1).")
    private Double plausible;

    @Option(names = "--proxy-weights", paramLabel = "FORM",
            description = "How the small models' weights are held: ${COMPLETION-CANDIDATES} (default: as --weights).")
    private LoadOptions.Weights weights;

    @Option(names = "--proxy-chat", description = "The expert reads the prompt as a LLaMA 2 chat: [INST] PROMPT [/INST].")
    private boolean chat;

    @Option(names = "--proxy-system", paramLabel = "TEXT", description = "With --proxy-chat: what the expert is told first.")
    private String system;

    @Option(names = "--proxy-cue", paramLabel = "TEXT",
            description = "With --proxy-chat: what its answer begins with, as 'Answer:'; taken out of the prompt where that has it.")
    private String cue;

    /// Whether there is anything to steer by. Options that do not go together are a usage error.
    boolean given() {
        if (expert == null && antiExpert == null && adapter == null) {
            refuse(alpha != null, "--alpha says how far small models steer; name them with --proxy-expert and --proxy-anti-expert");
            refuse(plausible != null,
                    "--proxy-plausible bounds what small models steer; name them with --proxy-expert and --proxy-anti-expert");
            refuse(weights != null, "--proxy-weights is of the small models; name them with --proxy-expert and --proxy-anti-expert");
            refuse(chat || system != null || cue != null,
                    "--proxy-chat, --proxy-system and --proxy-cue are of the expert; name it with --proxy-expert");
            return false;
        }
        refuse(antiExpert == null, "--proxy-%s needs --proxy-anti-expert, the small model before it was tuned"
                .formatted(adapter == null ? "expert" : "expert-adapter"));
        refuse(expert == null && adapter == null,
                "--proxy-anti-expert needs an expert: --proxy-expert, or --proxy-expert-adapter with an adapter of the anti-expert");
        refuse(expert != null && adapter != null, "give either --proxy-expert or --proxy-expert-adapter");
        refuse(alpha != null && !Double.isFinite(alpha), "--alpha must be a finite number, got " + alpha);
        refuse(plausible != null && !(plausible >= 0 && plausible <= 1), "--proxy-plausible must be from 0 to 1, got " + plausible);
        refuse(!chat && (system != null || cue != null), "--proxy-system and --proxy-cue go with --proxy-chat");
        return true;
    }

    boolean readsChat() {
        return chat;
    }

    boolean boundsTokens() {
        return plausible != null;
    }

    double alpha() {
        return alpha == null ? 1 : alpha;
    }

    private void refuse(boolean wrong, String message) {
        if (wrong) throw new ParameterException(spec.commandLine(), message);
    }

    /// The small models in memory.
    ///
    /// @param expert null where it is the anti-expert with an adapter
    record Small(CausalLm expert, CausalLm antiExpert, AdapterBank bank) implements AutoCloseable {
        @Override
        public void close() {
            if (bank != null) bank.close();
            if (expert != null) expert.close();
            antiExpert.close();
        }
    }

    /// Loads the small models.
    ///
    /// @param otherwise how the weights are held unless `--proxy-weights` says so
    Small load(LoadOptions.Weights otherwise) {
        CausalLm small = ModelLoader.load(antiExpert, form(otherwise));
        try {
            if (adapter == null) return new Small(ModelLoader.load(expert, form(otherwise)), small, null);
            AdapterBank bank = new AdapterBank(small, Long.MAX_VALUE);
            try {
                bank.register(EXPERT, adapter);
                bank.load(EXPERT);
                return new Small(null, small, bank);
            } catch (Throwable t) {
                bank.close();
                throw t;
            }
        } catch (Throwable t) {
            small.close();
            throw t;
        }
    }

    /// The large model, steered.
    ///
    /// @param folder of the large model, whose vocabulary the small ones must have
    ProxyTuning steer(StepModel large, Path folder, Tokenizer tokenizer, Small small) {
        return steer(large, folder, tokenizer, small, ChatPrompt.PLAIN);
    }

    /// @param otherwise the expert's system prompt and cue, where the command line says none
    ProxyTuning steer(StepModel large, Path folder, Tokenizer tokenizer, Small small, ChatPrompt otherwise) {
        requireVocabulary(folder, tokenizer);
        ChatPrompt form = new ChatPrompt(Optional.ofNullable(system).or(otherwise::system), Optional.ofNullable(cue).or(otherwise::cue));
        UnaryOperator<int[]> prompt = chat ? form.ids(tokenizer) : UnaryOperator.identity();
        Contrast contrast = small.bank == null ? Contrast.of(chat ? new Prompted(small.expert, prompt) : small.expert, small.antiExpert)
                : new AdapterContrast(small.bank, EXPERT, prompt);
        ProxyTuning steered = ProxyTuning.of(large, contrast).alpha(alpha());
        return plausible == null || plausible == 0 ? steered : steered.candidates(new MinP(plausible));
    }

    private void requireVocabulary(Path folder, Tokenizer tokenizer) {
        Stream.of(expert, antiExpert).filter(f -> f != null).forEach(other -> {
            try (Tokenizer theirs = Tokenizer.load(other)) {
                SharedVocabulary.require(folder, tokenizer, other, theirs);
            }
        });
    }

    /// The same check for ids alone, which need no tokenizer; where one is missing this is said.
    void requireVocabulary(Path folder) {
        Optional<Path> without = Stream.of(folder, expert, antiExpert).filter(f -> f != null && !Files.exists(f.resolve("tokenizer.json")))
                .findFirst();
        if (without.isPresent()) {
            spec.commandLine().getErr().printf("not checked whether the models share a vocabulary: %s has no tokenizer.json%n",
                    without.get());
            return;
        }
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            requireVocabulary(folder, tokenizer);
        }
    }

    /// Logits of every position by the expert and the anti-expert, flat; one model in memory at a time.
    ///
    /// @param form   how the weights are held unless `--proxy-weights` says so
    /// @param inputs makes them in the scope that is open
    float[][] logits(LoadOptions.Weights form, Supplier<Inputs> inputs) {
        try (CausalLm small = ModelLoader.load(antiExpert, form(form))) {
            float[] plain = logits(small, inputs);
            if (adapter == null) {
                try (CausalLm tuned = ModelLoader.load(expert, form(form))) {
                    return new float[][] {logits(tuned, inputs), plain};
                }
            }
            try (Peft _ = Peft.load(small, adapter)) {
                return new float[][] {logits(small, inputs), plain};
            }
        }
    }

    private static float[] logits(CausalLm model, Supplier<Inputs> inputs) {
        try (var _ = Scope.open()) {
            return model.logits(inputs.get()).toFloats();
        }
    }

    private LoadOptions form(LoadOptions.Weights otherwise) {
        return LoadOptions.DEFAULT.withWeights(weights == null ? otherwise : weights);
    }

    /// What of all this can change an answer, for result files.
    Map<String, Object> describe() throws IOException {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("alpha", alpha());
        json.put("anti_expert", model(antiExpert));
        if (expert != null) json.put("expert", model(expert));
        if (adapter != null) {
            Map<String, Object> own = new LinkedHashMap<>();
            own.put("folder", name(adapter));
            try (Checkpoint weights = Checkpoint.openAdapter(adapter)) {
                own.put("sha256", Digest.each(weights.files()));
            }
            json.put("expert_adapter", own);
        }
        if (plausible != null) json.put("plausible", plausible);
        if (weights != null) json.put("weights", weights.name().toLowerCase(Locale.ROOT));
        if (chat) json.put("chat", true);
        if (system != null) json.put("system", system);
        if (cue != null) json.put("cue", cue);
        return json;
    }

    private static Map<String, Object> model(Path folder) throws IOException {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("folder", name(folder));
        json.put("sha256", Digest.ofModel(folder));
        return json;
    }

    private static String name(Path folder) {
        return String.valueOf(folder.toAbsolutePath().normalize().getFileName());
    }
}
