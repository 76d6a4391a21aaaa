package dev.graft.peft.train;

import dev.graft.models.text.Tokenizer;
import dev.graft.peft.eval.Feedback;
import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.PromptTemplate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/// Turns records into examples as LLM-Adapters does.
///
/// The text is cut on the right to `cutoffLen` tokens. A text that was not cut ends with the end token. Without `trainOnInputs` as many labels as
/// the prompt has tokens are ignored; where prompt and response merge into one token, the boundary is off by one, as it is there.
///
/// A response that someone edited gives two examples, one of what it became and one, unless nothing was removed, of what it was ([TokenRewards]); the prompt is learned with the first only.
///
/// @param cutoffLen     the most tokens of an example
/// @param trainOnInputs whether the prompt is learnt as well (LLM-Adapters: yes)
/// @param rewards       of responses that were edited
public record ExampleEncoder(Tokenizer tokenizer, PromptTemplate template, int cutoffLen, boolean trainOnInputs, TokenRewards rewards) {
    public ExampleEncoder(Tokenizer tokenizer, PromptTemplate template, int cutoffLen, boolean trainOnInputs) {
        this(tokenizer, template, cutoffLen, trainOnInputs, TokenRewards.DEFAULT);
    }

    public ExampleEncoder {
        if (cutoffLen < 1) {
            throw new IllegalArgumentException("cutoff_len must be above 0, got " + cutoffLen);
        }
        if (tokenizer.specialIds().eos().isEmpty()) {
            throw new IllegalArgumentException("the tokenizer names no end token, so a model could never learn to stop; "
                    + "give its tokenizer_config.json an eos_token or its config.json an eos_token_id");
        }
    }

    /// The examples of the items, in their order.
    public List<Example> encode(List<Item> items) {
        List<int[]> texts = tokenizer.encode(items.stream().map(template::training).toList(), true);
        List<int[]> prompts = tokenizer.encode(items.stream().map(template::trainingPrompt).toList(), true);
        List<Example> all = new ArrayList<>(items.size());
        for (int i = 0; i < items.size(); i++) {
            List<Example> examples = new ArrayList<>();
            int prompt = prompts.get(i).length;
            int[] text = ended(texts.get(i));
            switch (items.get(i).feedback()) {
                case null -> examples.add(example(texts.get(i), prompt, null));
                case Feedback.Weighted(List<Float> weights) -> examples
                        .add(example(texts.get(i), prompt, weights(items.get(i), text, prompt, weights)));
                case Feedback.Edited(String original) -> {
                    int[] before = tokenizer.encode(List.of(template.training(items.get(i).withOutput(original))), true).getFirst();
                    int[] was = response(ended(before), prompt);
                    int[] is = response(text, prompt);
                    examples.add(example(texts.get(i), prompt, behind(prompt, 1, rewards.edited(was, is))));
                    Example away = example(before, prompt, behind(prompt, 0, rewards.original(was, is)));
                    if (away.counted() > 0) examples.add(away);
                }
            }
            int task = items.get(i).task();
            examples.forEach(e -> all.add(e.withTask(task)));
        }
        return all;
    }

    private static int[] response(int[] text, int prompt) {
        return Arrays.copyOfRange(text, Math.min(prompt, text.length), text.length);
    }

    /// Weights of a whole text, from that of each token of the prompt and those behind it.
    private static float[] behind(int prompt, float ofPrompt, float[] weights) {
        float[] all = new float[prompt + weights.length];
        Arrays.fill(all, 0, prompt, ofPrompt);
        System.arraycopy(weights, 0, all, prompt, weights.length);
        return all;
    }

    private float[] weights(Item item, int[] text, int prompt, List<Float> given) {
        int[] response = response(text, prompt);
        int missing = response.length - given.size();
        if (missing < 0 || missing > 1) {
            throw new IllegalArgumentException(
                    "the record \"%s\" has %d weights, and its output %d tokens, the end token included: %s; give one weight each"
                            .formatted(item.instruction(), given.size(), response.length,
                                    IntStream.of(response).mapToObj(id -> tokenizer.decode(new int[] {id}, false)).toList()));
        }
        float[] weights = new float[response.length];
        Arrays.fill(weights, 1);
        for (int t = 0; t < given.size(); t++) weights[t] = given.get(t);
        return behind(prompt, 1, weights);
    }

    /// With an end token.
    private int[] ended(int[] text) {
        int eos = tokenizer.specialIds().eos().getFirst();
        if (text.length > 0 && text[text.length - 1] == eos) return text;
        int[] ended = Arrays.copyOf(text, text.length + 1);
        ended[text.length] = eos;
        return ended;
    }

    /// @param weights of the text with its end token, or null
    private Example example(int[] text, int prompt, float[] weights) {
        int[] ids = text.length < cutoffLen ? ended(text) : Arrays.copyOf(text, cutoffLen);
        Example example = trainOnInputs ? Example.ofBoth(ids, prompt) : Example.of(ids, prompt);
        return weights == null ? example : new Example(ids, example.labels(), prompt, Arrays.copyOf(weights, ids.length));
    }
}
