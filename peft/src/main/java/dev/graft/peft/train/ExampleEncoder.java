package dev.graft.peft.train;

import dev.graft.models.text.Tokenizer;
import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.PromptTemplate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Turns records into examples as LLM-Adapters does.
///
/// The text is cut on the right to `cutoffLen` tokens. A text that was not cut ends with the end token. Without `trainOnInputs` as many labels as
/// the prompt has tokens are ignored; where prompt and response merge into one token, the boundary is off by one, as it is there.
///
/// @param cutoffLen     the most tokens of an example
/// @param trainOnInputs whether the prompt is learnt as well (LLM-Adapters: yes)
public record ExampleEncoder(Tokenizer tokenizer, PromptTemplate template, int cutoffLen, boolean trainOnInputs) {
    public ExampleEncoder {
        if (cutoffLen < 1) {
            throw new IllegalArgumentException("cutoff_len must be above 0, got " + cutoffLen);
        }
        if (tokenizer.specialIds().eos().isEmpty()) {
            throw new IllegalArgumentException("the tokenizer names no end token, so a model could never learn to stop; "
                    + "give its tokenizer_config.json an eos_token or its config.json an eos_token_id");
        }
    }

    /// One example per item, in their order.
    public List<Example> encode(List<Item> items) {
        List<int[]> texts = tokenizer.encode(items.stream().map(template::training).toList(), true);
        List<int[]> prompts = tokenizer.encode(items.stream().map(template::trainingPrompt).toList(), true);
        List<Example> examples = new ArrayList<>(items.size());
        for (int i = 0; i < items.size(); i++) {
            examples.add(example(texts.get(i), prompts.get(i).length));
        }
        return examples;
    }

    private Example example(int[] text, int prompt) {
        int eos = tokenizer.specialIds().eos().getFirst();
        int[] ids = Arrays.copyOf(text, Math.min(text.length, cutoffLen));
        if (ids.length < cutoffLen && (ids.length == 0 || ids[ids.length - 1] != eos)) {
            ids = Arrays.copyOf(ids, ids.length + 1);
            ids[ids.length - 1] = eos;
        }
        return trainOnInputs ? Example.ofBoth(ids, prompt) : Example.of(ids, prompt);
    }
}
