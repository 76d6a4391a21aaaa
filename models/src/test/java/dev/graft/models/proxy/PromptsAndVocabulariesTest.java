package dev.graft.models.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.text.BpeTrainer;
import dev.graft.models.text.Tokenizer;
import dev.graft.models.text.TokenizerException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PromptsAndVocabulariesTest {
    @TempDir
    private Path folder;

    private Path here;

    @BeforeEach
    void train() throws Exception {
        here = Files.createDirectory(folder.resolve("large"));
        BpeTrainer.train(Stream.of("Question: what is it? Answer: [INST] that and this and the other"), 263, here);
    }

    private Path copy(String name) throws Exception {
        Path there = Files.createDirectory(folder.resolve(name));
        try (Stream<Path> files = Files.list(here)) {
            for (Path file : files.toList()) Files.copy(file, there.resolve(file.getFileName()));
        }
        return there;
    }

    @Test
    void aChatPromptMovesTheCueBehindTheQuestion() {
        ChatPrompt chat = ChatPrompt.PLAIN.withCue("Answer:");
        assertThat(chat.of("Question: why?\nAnswer:")).isEqualTo("[INST] Question: why? [/INST] Answer:");
        assertThat(chat.of("Question: why?")).isEqualTo("[INST] Question: why? [/INST] Answer:");
        assertThat(chat.of("Question: why?\n")).as("white space goes with the cue only")
                .isEqualTo("[INST] Question: why?\n [/INST] Answer:");
        assertThat(ChatPrompt.PLAIN.of("Hello ")).isEqualTo("[INST] Hello  [/INST]");
        assertThat(chat.withSystem("Be brief.").of("Why?"))
                .isEqualTo("[INST]<<SYS>>\nBe brief.\n<</SYS>>\n\n Why? [/INST] Answer:");
        assertThatThrownBy(() -> ChatPrompt.PLAIN.withCue(" ")).hasMessageContaining("cue");
    }

    @Test
    void idsOfAChatPromptAreThoseOfItsText() {
        try (Tokenizer tokenizer = Tokenizer.load(here)) {
            int[] chat = ChatPrompt.PLAIN.withCue("Answer:").ids(tokenizer).apply(tokenizer.encode("Question: what is it?\nAnswer:"));
            assertThat(chat).containsExactly(tokenizer.encode("[INST] Question: what is it? [/INST] Answer:"));
        }
    }

    @Test
    void oneVocabularyMayHaveMoreAtItsEnd() throws Exception {
        Path same = copy("same");
        try (Tokenizer a = Tokenizer.load(here); Tokenizer b = Tokenizer.load(same)) {
            assertThatCode(() -> SharedVocabulary.require(here, a, same, b)).doesNotThrowAnyException();
        }
        Path larger = Files.createDirectory(folder.resolve("larger"));
        BpeTrainer.train(Stream.of("Question: what is it? Answer: [INST] that and this and the other"), 266, larger);
        try (Tokenizer a = Tokenizer.load(here); Tokenizer b = Tokenizer.load(larger)) {
            assertThat(b.vocabSize()).isGreaterThan(a.vocabSize());
            assertThatCode(() -> SharedVocabulary.require(here, a, larger, b)).doesNotThrowAnyException();
            assertThatCode(() -> SharedVocabulary.require(larger, b, here, a)).doesNotThrowAnyException();
        }
    }

    @Test
    void theFirstTokenThatDiffersIsNamedWithBothFolders() throws Exception {
        Path other = Files.createDirectory(folder.resolve("small"));
        BpeTrainer.train(Stream.of("zebras zigzag in zoos"), 290, other);
        try (Tokenizer a = Tokenizer.load(here); Tokenizer b = Tokenizer.load(other)) {
            int id = 0;
            while (a.token(id).equals(b.token(id))) id++;
            assertThatThrownBy(() -> SharedVocabulary.require(here, a, other, b)).isInstanceOf(TokenizerException.class)
                    .hasMessageContaining(here.toString()).hasMessageContaining(other.toString())
                    .hasMessageContaining(
                            "token %d is '%s' in the first and '%s' in the second".formatted(id, a.token(id).get(), b.token(id).get()));
        }
    }

    @Test
    void textsMustBeginAlike() throws Exception {
        Path other = copy("other"), config = other.resolve("tokenizer_config.json");
        Files.writeString(config, Files.readString(config).replaceFirst("(\"bos_token\"\\s*:\\s*)\"[^\"]*\"", "$1\"</s>\""));
        try (Tokenizer a = Tokenizer.load(here); Tokenizer b = Tokenizer.load(other)) {
            assertThatThrownBy(() -> SharedVocabulary.require(here, a, other, b)).isInstanceOf(TokenizerException.class)
                    .hasMessageContaining("texts begin with token %d in the first and %d in the second", a.specialIds().bos().getAsInt(),
                            a.id("</s>").getAsInt());
        }
    }

    @Test
    void textsMustEndAlike() throws Exception {
        Path other = copy("other");
        Files.writeString(other.resolve("generation_config.json"), "{\"eos_token_id\": [2, 7]}");
        try (Tokenizer a = Tokenizer.load(here); Tokenizer b = Tokenizer.load(other)) {
            assertThatThrownBy(() -> SharedVocabulary.require(here, a, other, b))
                    .hasMessageContaining("texts end with token " + a.specialIds().eos())
                    .hasMessageContaining("7");
        }
    }
}
