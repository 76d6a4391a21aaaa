package dev.graft.peft.eval;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;

/// How a model did on a test set.
///
/// @param items        all that were asked
/// @param responses    one per item, in their order
/// @param maxPositions tokens of the longest text the model was made for
/// @param newTokens    tokens written during this run; those of a run that it continued are not among them
/// @param seconds      time this run took
public record EvalResult(Task task, EvalConfig config, List<Item> items, List<Response> responses, int maxPositions, long newTokens,
        double seconds) {
    public EvalResult {
        items = List.copyOf(items);
        responses = List.copyOf(responses);
    }

    /// The most frequent gold answer, and what part of the items it is right for: what knowing no question, only the answers, would score.
    public record Majority(String answer, double share) {}

    public int correct() {
        return (int) responses.stream().filter(response -> response.verdict().correct()).count();
    }

    /// Right answers per item, from 0 to 1.
    public double accuracy() {
        return (double) correct() / items.size();
    }

    /// Responses that no answer could be read out of.
    public int unanswered() {
        return (int) responses.stream().filter(response -> task.says(response.verdict()).isEmpty()).count();
    }

    /// Texts, prompt and response together, that were longer than the model was made for. Nothing is cut; the model reads on.
    public int overlong() {
        return (int) responses.stream().filter(response -> response.promptTokens() + response.newTokens() > maxPositions).count();
    }

    /// Numbers count as one answer when they are equal, however they are written. Of several that are equally frequent, the first in the alphabet.
    public Majority majority() {
        Function<Item, String> gold = item -> task.kind() == Task.Kind.NUMERIC ? Double.toString(Answers.gold(item.answer()))
                : item.answer();
        Map<String, Long> counts = items.stream().collect(Collectors.groupingBy(gold, TreeMap::new, Collectors.counting()));
        long most = counts.values().stream().mapToLong(Long::longValue).max().orElseThrow();
        String answer = counts.entrySet().stream().filter(entry -> entry.getValue() == most).findFirst().orElseThrow().getKey();
        return new Majority(answer, (double) most / items.size());
    }

    /// New tokens of the answers per second, reading the prompts included; 0 if this run had nothing to do.
    public double tokensPerSecond() {
        return newTokens == 0 ? 0 : newTokens / seconds;
    }
}
