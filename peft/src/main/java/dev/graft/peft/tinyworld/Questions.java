package dev.graft.peft.tinyworld;

import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.PromptTemplate;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/// Questions with answers as a large text collection has them: about one change, counts up to twenty, asked in two forms and answered in five, of which one gives its sums.
///
/// ```
/// Question: Tom has 3 apples. He gives 1 to Ann. How many apples does Tom have now?
/// Answer: Tom has 2 apples.
/// ```
/// A model that has read some knows what a question is and that answers differ. It has not seen two changes in one, as [WordProblems] have them.
public record Questions(long seed) {
    /// Texts to train on, without end.
    public Stream<String> training() {
        Stream<WordProblems.Problem> problems = new WordProblems(seed, Scene.MOST, 1).training();
        var index = LongStream.iterate(0, i -> i + 1).iterator();
        return problems.map(problem -> asked(problem, Dice.of(~seed, index.nextLong())));
    }

    private static String asked(WordProblems.Problem problem, Dice dice) {
        Item item = problem.item();
        String sum = item.output().substring("First ".length(), item.output().indexOf('.') + 1);
        String answer = dice.pick(item.answer(), problem.end(), "The answer is " + item.answer() + ".", sum, item.output());
        return dice.chance(0.5) ? PromptTemplate.SHORT.training(item.withOutput(answer))
                : "Question: " + item.instruction() + "\nAnswer: " + answer;
    }
}
