package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.Golden;
import dev.graft.models.SharedFolder;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.eval.Feedback;
import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.PromptTemplate;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExampleEncoderTest {
    private static final Item ITEM = new Item("How many roses?", "", "There are 6.", "6");
    private static final int EOS = 2;
    private static Tokenizer tokenizer;

    @BeforeAll
    static void load() {
        tokenizer = Tokenizer.load(Golden.path("tokenizers/bloom-style"));
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    @Test
    void aTextThatFitsEndsWithTheEndToken() {
        int[] text = tokenizer.encode(PromptTemplate.COMPAT.training(ITEM));
        Example example = encode(512, true);
        assertThat(example.ids()).startsWith(text).hasSize(text.length + 1).endsWith(EOS);
        assertThat(example.labels()).isEqualTo(example.ids());
        assertThat(encode(text.length + 1, true).ids()).isEqualTo(example.ids());
    }

    @Test
    void aTextThatIsCutOrFillsTheLimitGetsNone() {
        int[] text = tokenizer.encode(PromptTemplate.COMPAT.training(ITEM));
        assertThat(encode(text.length, true).ids()).isEqualTo(text);
        assertThat(encode(20, true).ids()).isEqualTo(Arrays.copyOf(text, 20));
    }

    @Test
    void anEndTokenInTheTextIsNotDoubled() {
        Item ended = new Item("How many?", "", "6</s>", "6");
        Example example = new ExampleEncoder(tokenizer, PromptTemplate.CLEAN, 512, true).encode(List.of(ended)).getFirst();
        assertThat(example.ids()).endsWith(EOS);
        assertThat(example.ids()[example.length() - 2]).isNotEqualTo(EOS);
    }

    @Test
    void withoutTheInputsThePromptsLabelsAreIgnored() {
        int prompt = tokenizer.encode(PromptTemplate.CLEAN.evaluation(ITEM)).length;
        Example example = new ExampleEncoder(tokenizer, PromptTemplate.CLEAN, 512, false).encode(List.of(ITEM)).getFirst();
        assertThat(Arrays.copyOf(example.labels(), prompt)).containsOnly(Example.IGNORED);
        int[] learnt = Arrays.copyOfRange(example.labels(), prompt, example.length());
        assertThat(tokenizer.decode(learnt)).isEqualTo("There are 6.");
        assertThat(learnt).endsWith(EOS);
        assertThat(example.counted()).isEqualTo(learnt.length);
    }

    @Test
    void anEditedResponseGivesWhatItBecameAndWhatItWas() {
        Item edited = new Item("How many roses?", "", "There are 6.", "6", new Feedback.Edited("There are 7."));
        var encoder = new ExampleEncoder(tokenizer, PromptTemplate.CLEAN, 512, false, new TokenRewards(3, 0.5));
        List<Example> examples = encoder.encode(List.of(edited, ITEM));
        assertThat(examples).hasSize(3);
        Example is = examples.get(0), was = examples.get(1);
        assertThat(examples.get(2).weights()).isNull();
        assertThat(is.ids()).isEqualTo(examples.get(2).ids());
        assertThat(tokenizer.decode(was.ids())).isEqualTo(PromptTemplate.CLEAN.training(edited.withOutput("There are 7.")));
        assertThat(is.counted()).isEqualTo(examples.get(2).counted());
        for (int t = is.prompt(); t < is.length(); t++) {
            assertThat(is.weights()[t]).as(tokenizer.decode(is.ids()[t])).isEqualTo(tokenizer.decode(is.ids()[t]).contains("6") ? 3 : 1);
        }
        assertThat(was.counted()).isEqualTo(1);
        int against = java.util.stream.IntStream.range(0, was.length()).filter(t -> was.labels()[t] != Example.IGNORED).findFirst()
                .getAsInt();
        assertThat(tokenizer.decode(was.ids()[against])).contains("7");
        assertThat(was.weights()[against]).isEqualTo(-0.5f);
        Item same = new Item("How many roses?", "", "There are 6.", "6", new Feedback.Edited("There are 6."));
        assertThat(encoder.encode(List.of(same))).singleElement().satisfies(e -> assertThat(e.weights()).containsOnly(1));
    }

    @Test
    void tasksGoWithTheirRecords() {
        List<Item> items = List.of(new Item("How many roses?", "", "There are 6.", "6", new Feedback.Edited("There are 7."), 2), ITEM);
        List<Example> examples = new ExampleEncoder(tokenizer, PromptTemplate.CLEAN, 512, false).encode(items);
        assertThat(examples.stream().map(Example::task)).containsExactly(2, 2, -1);
        try (var _ = dev.graft.tensor.Scope.open()) {
            assertThat(new Batch(examples, Padding.LEFT, 1).inputs().tasks().toInts()).containsExactly(2, 2, -1);
            assertThat(new Batch(examples.subList(2, 3), Padding.LEFT, 1).inputs().tasks()).isNull();
        }
    }

    @Test
    void weightsComeOnePerToken() {
        Example plain = new ExampleEncoder(tokenizer, PromptTemplate.CLEAN, 512, false).encode(List.of(ITEM)).getFirst();
        int tokens = plain.counted();
        List<Float> weights = java.util.stream.IntStream.range(0, tokens).mapToObj(t -> t - 1.5f).toList();
        for (int given : new int[] {tokens, tokens - 1}) {
            Example example = encode(512, weights.subList(0, given));
            assertThat(example.ids()).isEqualTo(plain.ids());
            for (int t = 0; t < tokens; t++) assertThat(example.weights()[example.prompt() + t]).isEqualTo(t < given ? t - 1.5f : 1);
        }
        Example cut = encode(plain.length() - 2, weights);
        assertThat(cut.weights()).hasSize(plain.length() - 2).endsWith(tokens - 3 - 1.5f);
        assertThatThrownBy(() -> encode(512, weights.subList(0, tokens - 2))).hasMessageContaining("\" has " + (tokens - 2)
                + " weights, and its output " + tokens + " tokens, the end token included: [").hasMessageContaining("</s>");
    }

    private static Example encode(int cutoff, List<Float> weights) {
        Item item = new Item(ITEM.instruction(), "", ITEM.output(), "6", new Feedback.Weighted(weights));
        return new ExampleEncoder(tokenizer, PromptTemplate.CLEAN, cutoff, false).encode(List.of(item)).getFirst();
    }

    @Test
    void aPromptLongerThanTheLimitLeavesNothingToLearn() {
        assertThat(new ExampleEncoder(tokenizer, PromptTemplate.CLEAN, 10, false).encode(List.of(ITEM)).getFirst().counted()).isZero();
    }

    @Test
    void theBeginTokenIsPartOfPromptAndText() {
        try (Tokenizer llama = Tokenizer.load(SharedFolder.path("golden/stories260K"))) {
            Example example = new ExampleEncoder(llama, PromptTemplate.COMPAT, 512, false).encode(List.of(ITEM)).getFirst();
            assertThat(example.ids()).startsWith(1).endsWith(EOS);
            int ignored = (int) Arrays.stream(example.labels()).filter(label -> label == Example.IGNORED).count();
            assertThat(ignored).isEqualTo(llama.encode(PromptTemplate.COMPAT.trainingPrompt(ITEM)).length);
        }
    }

    @Test
    void aTokenizerWithoutEndTokenIsRefused(@TempDir Path dir) throws Exception {
        Files.writeString(dir.resolve("tokenizer.json"),
                Files.readString(Golden.path("tokenizers/gpt2-style/tokenizer.json")).replace("<|endoftext|>", "<|x|>"));
        try (Tokenizer endless = Tokenizer.load(dir)) {
            assertThatThrownBy(() -> new ExampleEncoder(endless, PromptTemplate.CLEAN, 9, true)).hasMessageContaining("no end token");
        }
        assertThatThrownBy(() -> new ExampleEncoder(tokenizer, PromptTemplate.CLEAN, 0, true)).hasMessageContaining("cutoff_len");
    }

    private static Example encode(int cutoffLen, boolean trainOnInputs) {
        return new ExampleEncoder(tokenizer, PromptTemplate.COMPAT, cutoffLen, trainOnInputs).encode(List.of(ITEM)).getFirst();
    }
}
