package dev.graft.peft.cli;

import dev.graft.models.io.Checkpoint;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// SHA-256 of files, so that a result says what exactly it was made from.
final class Digest {
    /// Beside the weights.
    private static final List<String> MODEL = List.of("config.json", "generation_config.json", "special_tokens_map.json", "tokenizer.json",
            "tokenizer_config.json");

    private Digest() {}

    /// Of each file that there is, by its name.
    static Map<String, String> each(Collection<Path> files) throws IOException {
        Map<String, String> digests = new TreeMap<>();
        for (Path file : files) {
            if (Files.isRegularFile(file)) digests.put(file.getFileName().toString(), of(file));
        }
        return digests;
    }

    /// Of all files of a model that what it computes depends on.
    static Map<String, String> ofModel(Path folder) throws IOException {
        List<Path> files = new ArrayList<>(MODEL.stream().map(folder::resolve).toList());
        try (Checkpoint weights = Checkpoint.open(folder)) {
            files.addAll(weights.files());
        }
        return each(files);
    }

    static String of(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            return of(in);
        }
    }

    /// Of a text as UTF-8.
    static String of(String text) throws IOException {
        return of(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static String of(InputStream bytes) throws IOException {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            new DigestInputStream(bytes, digest).transferTo(OutputStream.nullOutputStream());
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has SHA-256", e);
        }
    }
}
