package dev.graft.peft.cli;

import dev.graft.models.proxy.ChatPrompt;
import dev.graft.peft.eval.Protocol;
import dev.graft.peft.eval.protocol.Bbh;
import dev.graft.peft.eval.protocol.CodeRunner;
import dev.graft.peft.eval.protocol.CommandClassifier;
import dev.graft.peft.eval.protocol.E2e;
import dev.graft.peft.eval.protocol.Gsm8k;
import dev.graft.peft.eval.protocol.HttpClassifier;
import dev.graft.peft.eval.protocol.HumanEval;
import dev.graft.peft.eval.protocol.Labelled;
import dev.graft.peft.eval.protocol.Mmlu;
import dev.graft.peft.eval.protocol.Parted;
import dev.graft.peft.eval.protocol.Reading;
import dev.graft.peft.eval.protocol.ToxiGen;
import dev.graft.peft.eval.protocol.ToxicityClassifier;
import dev.graft.peft.eval.protocol.TriviaQa;
import dev.graft.peft.eval.protocol.TruthfulQaChoice;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/// How test sets are asked that a paper asks in a way of its own: the options of `graft eval` for those.
final class ProtocolOptions {
    static final List<Parted> PARTED = Stream.concat(Labelled.ALL.stream(), Stream.of(Reading.RECORD, Reading.SQUAD, new E2e()))
            .map(Parted.class::cast).toList();

    @Spec(Target.MIXEE)
    private CommandSpec spec;

    @Option(names = "--chat",
            description = "For a --model that is a LLaMA 2 chat itself: the set's prompts as [INST] PROMPT [/INST] CUE (--proxy-chat does so for the expert alone).")
    private boolean chat;

    @Option(names = "--system", paramLabel = "TEXT",
            description = "With --chat: what the model is told first (default: as the paper has it for the set).")
    private String system;

    @Option(names = "--samples", paramLabel = "N", description = "Programs written for each function of proxy/humaneval (default: 20).")
    private Integer samples;

    @Option(names = "--pass-at", split = ",", paramLabel = "K",
            description = "The k of pass@k, the first standing for the set (default: 10,1).")
    private List<Integer> passAt;

    @Option(names = "--allow-running-generated-code",
            description = "Run the programs that the model wrote, to see which are right. They run as you, within limits of time, memory and output, and without an environment, but not in "
                    + "a sandbox: they can read your files and use the network. Without this they are written down and not run.")
    private boolean run;

    @Option(names = "--interpreter", paramLabel = "COMMAND", description = "What runs them (default: python3).")
    private String interpreter;

    @Option(names = "--program-seconds", paramLabel = "N", description = "How long one may run (default: 10).")
    private Integer seconds;

    @Option(names = "--program-memory", paramLabel = "MIB", description = "Its address space (default: 2048).")
    private Integer memory;

    @Option(names = "--toxicity-command", paramLabel = "COMMAND",
            description = "Judges the texts of proxy/toxigen: a command that reads a line {\"text\": …} per text and writes a line {\"toxic\": true} for it.")
    private String toxicityCommand;

    @Option(names = "--toxicity-url", paramLabel = "URL",
            description = "The same by a server: {\"texts\": [ … ]} is posted to it, and it answers {\"toxic\": [true, … ]}.")
    private URI toxicityUrl;

    /// The options are of sets that have protocols.
    void requireNone() {
        refuse(chat || system != null, "--chat and --system go with sets that a paper asks in a way of its own: " + ProtocolEval.NAMES);
        refuse(samples != null || passAt != null || run || interpreter != null || seconds != null || memory != null,
                "--samples, --pass-at, --allow-running-generated-code, --interpreter, --program-seconds and --program-memory go with --task proxy/humaneval");
        refuse(toxicityCommand != null || toxicityUrl != null, "--toxicity-command and --toxicity-url go with --task proxy/toxigen");
    }

    private void refuse(boolean wrong, String message) {
        if (wrong) throw new ParameterException(spec.commandLine(), message);
    }

    Protocol protocol(String name) {
        refuse(!chat && system != null, "--system goes with --chat");
        return switch (name) {
            case "proxy/gsm8k" -> new Gsm8k();
            case "proxy/triviaqa" -> new TriviaQa();
            case "proxy/truthfulqa" -> new TruthfulQaChoice();
            case "proxy/humaneval" -> humanEval();
            case "proxy/toxigen" -> new ToxiGen(classifier(), ToxiGen.PER_GROUP);
            case "pedro/mmlu" -> new Mmlu();
            case "pedro/bbh" -> new Bbh();
            default -> PARTED.stream().filter(set -> set.name().equals(name)).findFirst().map(Protocol.class::cast)
                    .orElseThrow(() -> new ParameterException(spec.commandLine(),
                            "there is no set '%s'; there are %s".formatted(name, ProtocolEval.NAMES)));
        };
    }

    private HumanEval humanEval() {
        int many = samples == null ? 20 : samples;
        List<Integer> ks = passAt != null ? passAt : List.of(Math.min(10, many), 1).stream().distinct().toList();
        refuse(many < 1, "--samples must be above 0, got " + many);
        refuse(ks.stream().anyMatch(k -> k < 1 || k > many), "--pass-at must be from 1 to --samples (%d), got %s".formatted(many, ks));
        refuse(!run && (interpreter != null || seconds != null || memory != null),
                "--interpreter, --program-seconds and --program-memory are of programs that are run; that takes --allow-running-generated-code");
        refuse(seconds != null && seconds < 1, "--program-seconds must be above 0, got " + seconds);
        refuse(memory != null && memory < 1, "--program-memory must be above 0, got " + memory);
        Optional<CodeRunner> runner = run ? Optional.of(CodeRunner.of(interpreter == null ? "python3" : interpreter,
                Duration.ofSeconds(seconds == null ? 10 : seconds), (memory == null ? 2048L : memory) << 20, 1 << 20)) : Optional.empty();
        return new HumanEval(runner, many, ks);
    }

    private Optional<ToxicityClassifier> classifier() {
        refuse(toxicityCommand != null && toxicityUrl != null, "give either --toxicity-command or --toxicity-url");
        refuse(toxicityCommand != null && toxicityCommand.isBlank(), "--toxicity-command must name a command");
        if (toxicityCommand != null) return Optional.of(new CommandClassifier(List.of(toxicityCommand.strip().split("\\s+"))));
        return Optional.ofNullable(toxicityUrl).map(HttpClassifier::new);
    }

    /// The form in which the model reads prompts, if it is a chat model.
    Optional<ChatPrompt> chat(Protocol protocol) {
        if (!chat) return Optional.empty();
        return Optional.of(system == null ? protocol.chat() : protocol.chat().withSystem(system));
    }
}
