package dev.graft.peft.tinyworld;

import dev.graft.models.text.BpeTrainer;
import dev.graft.peft.eval.PromptTemplate;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;

/// The tokenizer of the small model: a byte-level BPE trained on stories and word problems, so that a word of the tiny world is one token and
/// a story some sixty. Digits stand alone; any other text is spelt in pieces or bytes.
public final class TinyVocabulary {
    /// Entries. Not many more come out of these texts, however many are asked for.
    public static final int SIZE = 1024;

    private static final int STORIES = 5_000;
    private static final int PROBLEMS = 1_000;

    private TinyVocabulary() {}

    /// Writes `tokenizer.json` and `tokenizer_config.json` into `dir`. The same seed gives the same files.
    public static void write(long seed, Path dir) throws IOException {
        write(seed, SIZE, dir);
    }

    /// The same with another number of entries.
    public static void write(long seed, int size, Path dir) throws IOException {
        Stream<String> stories = new TinyWorld(seed).training().limit(STORIES);
        Stream<String> problems = WordProblems.standard(seed).training(PROBLEMS).stream().map(PromptTemplate.CLEAN::training);
        BpeTrainer.train(Stream.concat(stories, problems), size, dir);
    }
}
