package dev.graft.models.text;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/// Text to token ids and back, as the model was trained with. Safe for use by several threads.
///
/// ```java
/// try (Tokenizer tokenizer = Tokenizer.load(dir)) {
///     int[] ids = tokenizer.encode("Once upon a time");      // with <s> in front where the model wants it
///     String text = tokenizer.decode(ids);                   // without it
/// }
/// ```
public interface Tokenizer extends AutoCloseable {
    /// Reads `tokenizer.json` from a Hugging Face folder (or the file itself), with `tokenizer_config.json`, `special_tokens_map.json`,
    /// `config.json` and `generation_config.json` beside it where they exist. Nothing is fetched from the network.
    ///
    /// @throws TokenizerException if there is no `tokenizer.json`, or it cannot be used
    static Tokenizer load(Path path) {
        return JsonTokenizer.load(path);
    }

    /// The ids of `text`, nothing cut off. `specialTokens` adds what the tokenizer's files say surrounds a text (LLaMA: `<s>` in front).
    /// A special token spelt out in the text becomes its id either way.
    int[] encode(String text, boolean specialTokens);

    /// The ids of `text` with the special tokens around it.
    default int[] encode(String text) {
        return encode(text, true);
    }

    /// The ids of each text, on several threads.
    List<int[]> encode(List<String> texts, boolean specialTokens);

    /// The text of `ids`. Ids without a token (padding rows of an embedding) contribute nothing. Bytes that form no character become U+FFFD.
    String decode(int[] ids, boolean skipSpecialTokens);

    /// The text of `ids` without special tokens.
    default String decode(int... ids) {
        return decode(ids, true);
    }

    /// A decoder that takes one id at a time and hands out text as soon as it is certain.
    default StreamingDecoder stream(boolean skipSpecialTokens) {
        return new StreamingDecoder(this, skipSpecialTokens);
    }

    /// One more than the largest id. The model's embedding may have more rows, never fewer.
    int vocabSize();

    /// The id of a token as `tokenizer.json` spells it (`▁the`, `Ġthe`, `</s>`).
    OptionalInt id(String token);

    /// The token of an id, as `tokenizer.json` spells it.
    Optional<String> token(int id);

    /// Whether `id` is a special token, which decoding can leave out.
    boolean special(int id);

    /// Ids with a role.
    SpecialIds specialIds();

    /// Frees the native tokenizer.
    @Override
    void close();
}
