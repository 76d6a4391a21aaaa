package dev.graft.peft.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.graft.models.io.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// An evaluation as it goes, in JSON lines: first what is being evaluated, then a line per response, written as soon as it is there. An
/// interrupted run goes on from its journal. Of texts it holds the model's responses alone, which may repeat a question.
public final class Journal implements EvalListener, AutoCloseable {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private final FileChannel channel;
    private final List<Response> earlier;

    private Journal(FileChannel channel, List<Response> earlier) {
        this.channel = channel;
        this.earlier = earlier;
    }

    /// Begins a journal, in place of one that may be there.
    ///
    /// @param run what determines the answers: model, adapter, data, config
    public static Journal begin(Path file, Map<String, ?> run) {
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            Journal journal = new Journal(FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING,
                    StandardOpenOption.WRITE), List.of());
            journal.write(first(run));
            return journal;
        } catch (IOException e) {
            throw new UncheckedIOException("%s cannot be written: %s".formatted(file, e.getMessage()), e);
        }
    }

    /// Goes on with a journal; begins one if there is none.
    ///
    /// @throws DataException if it is of another run, with what differs
    public static Journal resume(Path file, Map<String, ?> run) {
        if (!Files.exists(file)) return begin(file, run);
        try {
            byte[] bytes = Files.readAllBytes(file);
            int whole = bytes.length;
            while (whole > 0 && bytes[whole - 1] != '\n') whole--; // the line that was being written
            if (whole == 0) {
                if (!first(run).startsWith(new String(bytes, StandardCharsets.UTF_8))) {
                    throw new DataException("%s is not the beginning of this evaluation; nothing was changed in it".formatted(file));
                }
                return begin(file, run);
            }
            List<String> lines = new String(bytes, 0, whole, StandardCharsets.UTF_8).lines().toList();
            requireSame(file, lines.getFirst(), run);
            Map<Integer, Response> responses = new TreeMap<>();
            for (int i = 1; i < lines.size(); i++) {
                Response response = response(file, i + 1, lines.get(i));
                responses.put(response.index(), response);
            }
            FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE);
            channel.truncate(whole).position(whole);
            return new Journal(channel, List.copyOf(responses.values()));
        } catch (IOException e) {
            throw new UncheckedIOException("%s cannot be continued: %s".formatted(file, e.getMessage()), e);
        }
    }

    /// What was there already.
    public List<Response> earlier() {
        return earlier;
    }

    @Override
    public void onResponses(List<Response> batch, int done, int of) {
        try {
            write(batch.stream().map(response -> line(response) + "\n").collect(Collectors.joining()));
        } catch (IOException e) {
            throw new UncheckedIOException("the journal cannot be written: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void write(String text) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
        while (bytes.hasRemaining()) channel.write(bytes);
    }

    private static String first(Map<String, ?> run) {
        return Json.line(run) + "\n";
    }

    private static String line(Response response) {
        Map<String, Object> line = ResultFiles.verdict(response);
        line.put("output_pred", response.text());
        return Json.line(line);
    }

    private static Response response(Path file, int number, String line) {
        JsonNode json = parse(file, number, line);
        for (String field : List.of("index", "pred", "flag", "prompt_tokens", "new_tokens", "output_pred")) {
            if (!json.has(field)) throw new DataException("%s: line %d has no '%s'".formatted(file, number, field));
        }
        return new Response(json.get("index").asInt(), json.get("output_pred").asText(),
                new Task.Verdict(json.get("pred").asText(), json.get("flag").asBoolean()), json.get("prompt_tokens").asInt(),
                json.get("new_tokens").asInt());
    }

    private static void requireSame(Path file, String first, Map<String, ?> run) {
        List<String> different = new ArrayList<>();
        compare("", parse(file, 1, first), parse(file, 1, Json.line(run)), different);
        if (!different.isEmpty()) {
            throw new DataException("%s is of another run, so it cannot be resumed: %s".formatted(file, String.join("; ", different)));
        }
    }

    private static void compare(String at, JsonNode was, JsonNode is, List<String> different) {
        if (was.isObject() && is.isObject()) {
            Stream.concat(was.properties().stream(), is.properties().stream()).map(Map.Entry::getKey).distinct()
                    .forEach(key -> compare(at.isEmpty() ? key : at + "." + key, was.path(key), is.path(key), different));
        } else if (!was.equals(is)) {
            different.add("%s was %s and is %s".formatted(at, shown(was), shown(is)));
        }
    }

    private static String shown(JsonNode value) {
        return value.isMissingNode() || value.isNull() ? "nothing" : value.toString();
    }

    private static JsonNode parse(Path file, int number, String line) {
        try {
            return MAPPER.readTree(line);
        } catch (JsonProcessingException e) {
            throw new DataException("%s: line %d is not valid JSON: %s".formatted(file, number, e.getOriginalMessage()), e);
        }
    }
}
