package dev.graft.peft.tinyworld;

import dev.graft.peft.tinyworld.Lexicon.Person;
import dev.graft.peft.tinyworld.Scene.Cast;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/// An endless collection of short stories in simple English. Story `i` depends on the seed and `i` alone, so a run that stops can go on
/// where it was.
///
/// One story in fifty is held out: which, is decided by the text itself, so no held-out story can ever be among the training stories,
/// whatever their seed. No story ever asks "how many"; the [WordProblems] do.
public record TinyWorld(long seed) {
    private static final int HELD_OUT_ONE_IN = 50;

    /// Stories to train on, without end.
    public Stream<String> training() {
        return all().filter(story -> !heldOut(story));
    }

    /// Stories to test on, without end.
    public Stream<String> heldOut() {
        return all().filter(TinyWorld::heldOut);
    }

    /// Whether a story belongs to the test stories.
    public static boolean heldOut(String story) {
        return Long.remainderUnsigned(Dice.hash(story), HELD_OUT_ONE_IN) == 0;
    }

    private Stream<String> all() {
        return LongStream.iterate(0, i -> i + 1).mapToObj(this::story);
    }

    /// The `index`-th story.
    public String story(long index) {
        Dice dice = Dice.of(seed, index);
        Cast cast = Cast.drawn(dice);
        Person hero = cast.hero(), other = cast.other();
        List<String> parts = new ArrayList<>();
        if (dice.chance(0.4)) {
            parts.add("One %s %s, %s and %s %s %s are at the %s.".formatted(dice.pick(Lexicon.WEATHERS), dice.pick(Lexicon.TIMES),
                    hero.name(), hero.possessive(),
                    dice.pick(Lexicon.KIN), other.name(), dice.pick(Lexicon.PLACES)));
        }
        for (int scenes = dice.number(1, 3); scenes > 0; scenes--) {
            // Counting is what the word problems build on, so it comes more often than the rest.
            Scene scene = dice.chance(0.35) ? Scene.COUNT_CHANGES : dice.chance(0.15) ? Scene.SUMS : dice.pick(Scene.values());
            boolean swapped = dice.chance(0.3);
            parts.add(scene.tell(swapped ? new Cast(other, hero) : cast, dice));
        }
        if (dice.chance(0.3)) {
            String mood = dice.pick(Lexicon.MOODS);
            parts.add(dice.pick("In the end %s is %s.", "%s goes home and feels %s.", "At night %s sleeps and is not %s any more.")
                    .formatted(hero.name(), mood));
        }
        return String.join(" ", parts);
    }
}
