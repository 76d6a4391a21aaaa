package dev.graft.peft.tinyworld;

import static dev.graft.peft.tinyworld.Lexicon.capital;
import static dev.graft.peft.tinyworld.Lexicon.count;
import static dev.graft.peft.tinyworld.Lexicon.many;

import dev.graft.peft.eval.Item;
import dev.graft.peft.tinyworld.Lexicon.Person;
import dev.graft.peft.tinyworld.Scene.Cast;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/// Word problems about counts that change several times, with the sums as rationale:
///
/// ```
/// Tom has 3 apples. He gives 1 to Ann. Tom finds 4 more. How many apples does Tom have now?
/// First 3 - 1 = 2. Then 2 + 4 = 6. The answer is 6.
/// ```
///
/// The stories of [TinyWorld] teach what each verb does to a count, and single sums; they never chain two changes and never ask. [Questions] ask about one.
/// Answers are uniform over 0 to `most`, and never one of the numbers in the question, so neither guessing nor copying scores.
///
/// The numbers of a problem (start and signed changes, in order) decide whether it is for training or for evaluation. So no evaluation
/// problem shares its numbers, and hence none its question, with any training problem, in whatever words.
///
/// @param most       the largest count that occurs
/// @param operations changes in one problem
public record WordProblems(long seed, int most, int operations) {
    private static final int EVALUATION_ONE_IN = 5;
    private static final int LARGEST_CHANGE = 9;

    public WordProblems {
        if (most < 5 || most > 99) {
            throw new IllegalArgumentException("most must be from 5 to 99, got " + most);
        }
        if (operations < 1 || operations > 6) {
            throw new IllegalArgumentException("operations must be from 1 to 6, got " + operations);
        }
    }

    /// The problems of the quickstart: two changes, counts up to twenty.
    public static WordProblems standard(long seed) {
        return new WordProblems(seed, Scene.MOST, 2);
    }

    /// `n` different problems to train on.
    public List<Item> training(int n) {
        return distinct(training(), n);
    }

    /// `n` different problems to evaluate on.
    public List<Item> evaluation(int n) {
        return distinct(all().filter(Problem::evaluates), n);
    }

    private static List<Item> distinct(Stream<Problem> problems, int n) {
        Set<String> seen = new HashSet<>();
        return problems.map(Problem::item).filter(item -> seen.add(item.instruction())).limit(n).toList();
    }

    /// Problems to train on without end, some of them twice.
    Stream<Problem> training() {
        return all().filter(problem -> !problem.evaluates());
    }

    private Stream<Problem> all() {
        return LongStream.iterate(0, i -> i + 1).mapToObj(i -> problem(Dice.of(seed, i)));
    }

    /// @param end what follows from it, as a sentence: `Tom has 6 apples.`
    record Problem(String numbers, Item item, String end) {
        boolean evaluates() {
            return Long.remainderUnsigned(Dice.hash(numbers), EVALUATION_ONE_IN) == 0;
        }
    }

    private Problem problem(Dice dice) {
        int answer = dice.number(0, most);
        int[] changes = new int[operations];
        int start;
        do {
            start = answer;
            for (int i = 0; i < operations; i++) {
                changes[i] = dice.number(1, LARGEST_CHANGE) * (dice.chance(0.5) ? 1 : -1);
                start -= changes[i];
            }
        } while (!possible(start, changes, answer));
        return tell(start, changes, answer, dice);
    }

    /// All counts on the way are in range, and the answer is none of the numbers in the question.
    private boolean possible(int start, int[] changes, int answer) {
        int count = start;
        boolean inRange = 0 <= start && start <= most && start != answer;
        for (int change : changes) {
            count += change;
            inRange &= 0 <= count && count <= most && Math.abs(change) != answer;
        }
        return inRange;
    }

    private static Problem tell(int start, int[] changes, int answer, Dice dice) {
        Cast cast = Cast.drawn(dice);
        Person hero = cast.hero();
        String thing = dice.pick(Lexicon.THINGS);
        StringBuilder question = new StringBuilder("%s has %s.".formatted(hero.name(), count(start, thing)));
        StringBuilder rationale = new StringBuilder();
        int count = start;
        for (int change : changes) {
            Change verb = Change.withSign(Integer.signum(change), dice);
            question.append(' ')
                    .append(verb.tell(dice.chance(0.5) ? hero.name() : capital(hero.subject()), Math.abs(change), cast.other()));
            rationale.append(rationale.isEmpty() ? "First " : "Then ").append(verb.equation(count, Math.abs(change))).append(". ");
            count += change;
        }
        question.append(" How many %s does %s have now?".formatted(many(2, thing), hero.name()));
        rationale.append("The answer is ").append(answer).append('.');
        String numbers = start + IntStream.of(changes).mapToObj(" %+d"::formatted).reduce("", String::concat);
        return new Problem(numbers, new Item(question.toString(), "", rationale.toString(), Integer.toString(answer)),
                "%s has %s.".formatted(hero.name(), count(answer, thing)));
    }
}
