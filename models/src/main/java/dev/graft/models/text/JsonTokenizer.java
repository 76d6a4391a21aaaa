package dev.graft.models.text;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Supplier;

/// A tokenizer of the Hugging Face tokenizers library (Rust, through DJL), read from `tokenizer.json`.
final class JsonTokenizer implements Tokenizer {
    // The library would otherwise cut every text at 512 tokens.
    private static final Map<String, String> WHOLE = Map.of("truncation", "do_not_truncate", "padding", "do_not_pad");

    private final TokenizerFile file;
    private final HuggingFaceTokenizer library;
    private final SpecialIds specialIds;
    private final Surround surround;

    private JsonTokenizer(TokenizerFile file, HuggingFaceTokenizer library, TokenizerConfigs configs) {
        this.file = file;
        this.library = library;
        specialIds = configs.specialIds(file);
        surround = Surround.of(configs, specialIds, ids(library.encode("", true, false)));
    }

    static JsonTokenizer load(Path path) {
        Path json = Files.isDirectory(path) ? path.resolve("tokenizer.json") : path;
        if (!Files.isRegularFile(json)) {
            throw new TokenizerException(missing(json));
        }
        TokenizerConfigs configs = TokenizerConfigs.beside(json);
        TokenizerFile file = TokenizerFile.read(json, configs);
        NativeTokenizers.load();
        try {
            var stream = new ByteArrayInputStream(file.json().getBytes(StandardCharsets.UTF_8));
            return new JsonTokenizer(file, HuggingFaceTokenizer.newInstance(stream, WHOLE), configs);
        } catch (IOException | RuntimeException e) {
            throw e instanceof TokenizerException known ? known
                    : new TokenizerException("%s is not a usable tokenizer: %s".formatted(json, e.getMessage()), e);
        }
    }

    private static String missing(Path json) {
        Path dir = json.toAbsolutePath().getParent();
        if (dir == null || !Files.isDirectory(dir)) {
            return "there is no folder %s to read tokenizer.json from".formatted(dir);
        }
        if (Files.exists(dir.resolve("tokenizer.model"))) {
            return ("%s has a SentencePiece tokenizer.model but no tokenizer.json. Convert it once: in Python, "
                    + "AutoTokenizer.from_pretrained(folder).save_pretrained(folder), or take tokenizer.json from a conversion of the same model.")
                    .formatted(dir);
        }
        if (Files.exists(dir.resolve("vocab.json")) && Files.exists(dir.resolve("merges.txt"))) {
            return ("%s has vocab.json and merges.txt but no tokenizer.json. Convert them once: in Python, "
                    + "AutoTokenizer.from_pretrained(folder).save_pretrained(folder).").formatted(dir);
        }
        return "%s has no tokenizer.json; copy it there from the model's Hugging Face folder".formatted(dir);
    }

    @Override
    public int[] encode(String text, boolean specialTokens) {
        return whileReachable(() -> {
            boolean byLibrary = specialTokens && surround.byLibrary();
            int[] ids = ids(library.encode(wellFormed(text), byLibrary, false));
            return specialTokens && !byLibrary ? surround.around(ids) : ids;
        });
    }

    @Override
    public List<int[]> encode(List<String> texts, boolean specialTokens) {
        if (texts.isEmpty()) {
            return List.of();
        }
        return whileReachable(() -> {
            boolean byLibrary = specialTokens && surround.byLibrary();
            String[] clean = texts.stream().map(JsonTokenizer::wellFormed).toArray(String[]::new);
            List<int[]> all = new ArrayList<>();
            for (Encoding encoding : library.batchEncode(clean, byLibrary, false)) {
                all.add(specialTokens && !byLibrary ? surround.around(ids(encoding)) : ids(encoding));
            }
            return List.copyOf(all);
        });
    }

    @Override
    public String decode(int[] ids, boolean skipSpecialTokens) {
        return whileReachable(() -> library.decode(Arrays.stream(ids).filter(this::known).asLongStream().toArray(), skipSpecialTokens));
    }

    @Override
    public int vocabSize() {
        return file.tokens().length;
    }

    @Override
    public OptionalInt id(String token) {
        Integer id = file.ids().get(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    @Override
    public Optional<String> token(int id) {
        return known(id) ? Optional.of(file.tokens()[id]) : Optional.empty();
    }

    @Override
    public boolean special(int id) {
        return id >= 0 && file.specials().get(id);
    }

    @Override
    public SpecialIds specialIds() {
        return specialIds;
    }

    @Override
    public void close() {
        library.close();
    }

    private boolean known(int id) {
        return id >= 0 && id < file.tokens().length && file.tokens()[id] != null;
    }

    private static int[] ids(Encoding encoding) {
        return Arrays.stream(encoding.getIds()).mapToInt(Math::toIntExact).toArray();
    }

    /// Half a surrogate pair has no UTF-8 form, and the native side would read it as something else.
    private static String wellFormed(String text) {
        if (text.chars().noneMatch(c -> Character.isSurrogate((char) c))) {
            return text;
        }
        StringBuilder clean = new StringBuilder(text.length());
        text.codePoints().forEach(c -> clean.appendCodePoint(c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? 0xFFFD : c));
        return clean.toString();
    }

    /// DJL frees the native tokenizer in a finalizer, which must not run while a native call is under way.
    private <T> T whileReachable(Supplier<T> call) {
        try {
            return call.get();
        } finally {
            Reference.reachabilityFence(this);
        }
    }
}
