package dev.graft.peft.tinyworld;

import dev.graft.peft.eval.Item;
import dev.graft.peft.tinyworld.Scene.Cast;
import java.util.List;
import java.util.Locale;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/// What is this story about? A story of one scene, and its topic, all about equally often.
///
/// ```
/// Tom has a red ball. Ann has a blue kite. They trade. Now Tom has the blue kite and Ann has the red ball.        toys
/// ```
/// As with [TinyWorld], the story itself decides whether it is for training or for evaluation.
public record Topics(long seed) {
    /// One of them is the answer.
    public static final List<String> ALL = Stream.of(Topic.values()).map(Topic::word).toList();

    private enum Topic {
        SUMS(Scene.SUMS, Scene.COUNT_CHANGES, Scene.COMPARES), TOYS(Scene.HIDES, Scene.TRADES),
        ANIMALS(Scene.COUNTS, Scene.ASKS_COLOR, Scene.ANIMALS), PEOPLE(Scene.AGES), FOOD(Scene.COOKS);

        private final Scene[] scenes;

        Topic(Scene... scenes) {
            this.scenes = scenes;
        }

        private String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /// `n` different stories to train on.
    public List<Item> training(int n) {
        return all().filter(item -> !TinyWorld.heldOut(item.instruction())).distinct().limit(n).toList();
    }

    /// `n` different stories to evaluate on.
    public List<Item> evaluation(int n) {
        return all().filter(item -> TinyWorld.heldOut(item.instruction())).distinct().limit(n).toList();
    }

    private Stream<Item> all() {
        return LongStream.iterate(0, i -> i + 1).mapToObj(i -> item(Dice.of(seed, i)));
    }

    private static Item item(Dice dice) {
        Cast cast = Cast.drawn(dice);
        Topic topic = dice.pick(Topic.values());
        String story = dice.pick(topic.scenes).tell(cast, dice);
        return new Item("What is this story about? " + story, "", topic.word(), topic.word());
    }
}
