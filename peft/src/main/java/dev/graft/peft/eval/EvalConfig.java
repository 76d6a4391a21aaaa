package dev.graft.peft.eval;

import dev.graft.models.generate.GenerationConfig.LengthNorm;
import dev.graft.peft.eval.Answers.LetterRule;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/// How a test set is asked. Start from [#DEFAULT], which is what LLM-Adapters does, and change what matters.
///
/// @param template   the text around a question
/// @param letterRule which capital letter is the answer, in sets of letters
/// @param numBeams   of the beam search; 1 takes the best token at every step
/// @param lengthNorm what counts as a hypothesis' length
/// @param batchSize  questions answered together; changes speed, and answers no more than rounding does
public record EvalConfig(PromptTemplate template, LetterRule letterRule, int numBeams, LengthNorm lengthNorm, int batchSize) {
    public static final EvalConfig DEFAULT = new EvalConfig(PromptTemplate.COMPAT, LetterRule.FIRST, 4, LengthNorm.GENERATED, 8);

    public EvalConfig {
        if (numBeams < 1) throw new IllegalArgumentException("num_beams must be above 0, got " + numBeams);
        if (batchSize < 1) throw new IllegalArgumentException("batch_size must be above 0, got " + batchSize);
    }

    public EvalConfig withTemplate(PromptTemplate other) {
        return new EvalConfig(other, letterRule, numBeams, lengthNorm, batchSize);
    }

    public EvalConfig withLetterRule(LetterRule rule) {
        return new EvalConfig(template, rule, numBeams, lengthNorm, batchSize);
    }

    public EvalConfig withNumBeams(int beams) {
        return new EvalConfig(template, letterRule, beams, lengthNorm, batchSize);
    }

    public EvalConfig withLengthNorm(LengthNorm norm) {
        return new EvalConfig(template, letterRule, numBeams, norm, batchSize);
    }

    public EvalConfig withBatchSize(int size) {
        return new EvalConfig(template, letterRule, numBeams, lengthNorm, size);
    }

    /// What can change an answer, as result files have it.
    Map<String, Object> toJson(Task task) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("template", name(template));
        json.put("num_beams", numBeams);
        json.put("length_penalty", 1.0);
        json.put("length_norm", name(lengthNorm));
        json.put("do_sample", false);
        json.put("max_new_tokens", task.maxNewTokens());
        if (task.kind() == Task.Kind.LETTER) json.put("letter_rule", name(letterRule));
        return json;
    }

    private static String name(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
