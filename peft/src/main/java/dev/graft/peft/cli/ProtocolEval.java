package dev.graft.peft.cli;

import dev.graft.models.generate.StepModel;
import dev.graft.models.proxy.ChatPrompt;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.eval.Decoding;
import dev.graft.peft.eval.Journal;
import dev.graft.peft.eval.Protocol;
import dev.graft.peft.eval.ProtocolEvaluator;
import dev.graft.peft.eval.ProtocolResult;
import dev.graft.peft.eval.Question;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// A set that a paper asks in a way of its own, as `graft eval` asks it.
///
/// @param data  its file, or null where it is found below `root`
/// @param limit only so many questions, or null
/// @param maxNewTokens instead of the paper's, or null
record ProtocolEval(Protocol protocol, Path data, Path root, Path output, Integer limit, int batchSize, Integer maxNewTokens, long seed) {
    static final String NAMES = "proxy/gsm8k, proxy/triviaqa, proxy/truthfulqa, proxy/humaneval, proxy/toxigen, pedro/sst2, pedro/rte, pedro/qnli, pedro/boolq, pedro/copa, pedro/record, "
            + "pedro/squad, pedro/e2e, pedro/mmlu, pedro/bbh";

    String fileName() {
        return ProtocolResult.fileName(protocol);
    }

    ProtocolResult evaluate(StepModel model, Tokenizer tokenizer, Map<String, Object> about, ProtocolOptions options, boolean resume,
            PrintWriter out)
            throws IOException {
        Path file = data == null ? protocol.file(root) : data;
        List<Question> all = protocol.asked(protocol.read(file));
        List<Question> questions = limit == null ? all : all.subList(0, Math.min(limit, all.size()));
        Optional<ChatPrompt> chat = options.chat(protocol);
        Map<String, Object> source = new LinkedHashMap<>();
        source.put("file", data == null ? root.relativize(file).toString().replace('\\', '/') : file.getFileName().toString());
        source.put("sha256", Files.isDirectory(file) ? Digest.each(texts(file)) : Digest.of(file));
        source.put("records", all.size());
        source.put("first", questions.size());
        Map<String, Object> dependsOn = new LinkedHashMap<>();
        dependsOn.put("data", source);
        dependsOn.putAll(about);
        chat.ifPresent(form -> {
            dependsOn.put("chat", true);
            form.system().ifPresent(text -> dependsOn.put("system", text));
        });
        Decoding decoding = maxNewTokens == null ? protocol.decoding() : protocol.decoding().withMaxNewTokens(maxNewTokens);
        Map<String, Object> run = ProtocolResult.run(protocol, decoding, dependsOn);
        Path journalFile = output.resolve(fileName() + ".jsonl");
        try (Journal journal = resume ? Journal.resume(journalFile, run) : Journal.begin(journalFile, run);
                EvalProgress progress = new EvalProgress(protocol.name(), protocol.judgesAtOnce(), out)) {
            ProtocolResult result = new ProtocolEvaluator(model, tokenizer, protocol, decoding, chat, batchSize, seed).evaluate(questions,
                    journal.and(progress), journal.earlier());
            result.write(output, run);
            return result;
        }
    }

    private static List<Path> texts(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.getFileName().toString().matches(".*\\.(txt|csv|json)")).toList();
        }
    }

    static void table(List<ProtocolResult> results, PrintWriter out) {
        for (ProtocolResult r : results) {
            out.printf("%n%s: %d questions, %s%n", r.protocol().name(), r.questions().size(),
                    r.metrics().isEmpty() ? "not judged: " + r.protocol().judging()
                            : r.metrics().entrySet().stream().map(e -> String.format(Locale.ROOT, "%s %.4g", e.getKey(), e.getValue()))
                                    .collect(Collectors.joining(", ")));
            if (r.overlong() > 0) {
                out.printf("%s: %d texts were longer than the %d tokens the model was made for (max_position_embeddings)%n",
                        r.protocol().name(),
                        r.overlong(), r.maxPositions());
            }
        }
        out.flush();
    }
}
