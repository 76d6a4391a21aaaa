package dev.graft.bench.peers;

import dev.graft.bench.model.RandomModels;
import dev.graft.models.ModelWriter;
import dev.graft.tensor.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;

/// The decoding model as files for other programs, in `target/checkpoints`; written when first asked for, by a JVM of its own, so that the one that measures
/// has run nothing of ours.
final class Checkpoint {
    private static final Path FOLDER = Path.of(System.getProperty("graft.peers", "bench/peers"), "target", "checkpoints");

    /// As much of a tokenizer as a loader asks for; nothing is tokenized.
    private static final String TOKENIZER = """
            {"version": "1.0", "added_tokens": [], "normalizer": null,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
             "model": {"type": "BPE", "unk_token": null, "fuse_unk": false, "byte_fallback": false,
                       "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2}, "merges": []}}
            """;

    private Checkpoint() {
    }

    /// A Hugging Face folder.
    ///
    /// @param weights `f32` or `bf16`
    static Path huggingFace(String weights) {
        if (!List.of("f32", "bf16").contains(weights)) throw new IllegalArgumentException("weights are f32 or bf16 here, not " + weights);
        return made("hf-" + weights, "huggingFace", weights);
    }

    /// A GGUF file.
    ///
    /// @param weights `f32`, `bf16` or `q8`
    static Path gguf(String weights) {
        return made(weights + ".gguf", "gguf", weights);
    }

    private static Path made(String name, String kind, String weights) {
        Path wanted = FOLDER.resolve(name);
        if (Files.exists(wanted)) return wanted;
        Path staged = FOLDER.resolve(name + ".part");
        List<String> command = List.of(ProcessHandle.current().info().command().orElse("java"), "--add-modules", "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path"), Checkpoint.class.getName(), kind,
                weights,
                staged.toString());
        try {
            Files.createDirectories(FOLDER);
            int status = new ProcessBuilder(command).inheritIO().start().waitFor();
            if (status != 0) throw new IllegalStateException("writing " + wanted + " ended with status " + status);
            return Files.move(staged, wanted, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while " + wanted + " was written", e);
        }
    }

    public static void main(String[] args) throws IOException {
        String weights = args[1];
        Path target = Path.of(args[2]);
        if (args[0].equals("gguf")) {
            GgufWriter.write(RandomModels.decodingShape(), weights, target);
        } else {
            ModelWriter.saveRandom(RandomModels.decodingShape(), 1, target, DType.valueOf(weights.toUpperCase(Locale.ROOT)),
                    ModelWriter.SHARD);
            Files.writeString(target.resolve("tokenizer.json"), TOKENIZER);
        }
    }
}
