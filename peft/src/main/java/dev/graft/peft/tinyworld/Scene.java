package dev.graft.peft.tinyworld;

import static dev.graft.peft.tinyworld.Lexicon.a;
import static dev.graft.peft.tinyworld.Lexicon.capital;
import static dev.graft.peft.tinyworld.Lexicon.count;
import static dev.graft.peft.tinyworld.Lexicon.many;
import static dev.graft.peft.tinyworld.Lexicon.word;

import dev.graft.peft.tinyworld.Lexicon.Person;
import java.util.List;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// The building blocks of a story. What a scene says is consistent: who had what, where it was put, how many there are now. Much of a
/// sentence follows from one several sentences earlier, which a model with attention can use and a trigram cannot.
enum Scene {
    COUNT_CHANGES(Scene::countChanges), SUMS(Scene::sums), COMPARES(Scene::compares), HIDES(Scene::hides), COUNTS(Scene::counts),
    TRADES(Scene::trades),
    ASKS_COLOR(Scene::asksColor), AGES(Scene::ages), ANIMALS(Scene::animals), WEATHER(Scene::weather), COOKS(Scene::cooks);

    /// The two people of a story.
    record Cast(Person hero, Person other) {
        static Cast drawn(Dice dice) {
            Person hero = dice.pick(Lexicon.PEOPLE);
            Person other;
            do {
                other = dice.pick(Lexicon.PEOPLE);
            } while (other.equals(hero));
            return new Cast(hero, other);
        }
    }

    /// Counts in the world go from 0 to this.
    static final int MOST = 20;

    private final BiFunction<Cast, Dice, String> teller;

    Scene(BiFunction<Cast, Dice, String> teller) {
        this.teller = teller;
    }

    String tell(Cast cast, Dice dice) {
        return teller.apply(cast, dice);
    }

    private static String countChanges(Cast cast, Dice dice) {
        Change change = dice.pick(Change.values());
        int before = change.sign > 0 ? dice.number(0, MOST - 1) : dice.number(1, MOST);
        int by = dice.number(1, Math.min(9, change.sign > 0 ? MOST - before : before));
        int after = before + change.sign * by;
        String thing = dice.pick(Lexicon.THINGS);
        Person hero = cast.hero();
        String start = "%s has %s.".formatted(hero.name(), count(before, thing));
        String happens = change.tell(dice.chance(0.5) ? hero.name() : capital(hero.subject()), by, cast.other());
        String sum = change.equation(before, by) + ".";
        String end = dice.pick("Now %s has %s.", "So %s has %s.").formatted(dice.chance(0.5) ? hero.name() : hero.subject(),
                count(after, thing));
        return dice.chance(0.7) ? String.join(" ", start, happens, sum, end) : String.join(" ", start, happens, end);
    }

    private static String sums(Cast cast, Dice dice) {
        String opening = dice.pick("%s learns sums.", "%s writes sums on the board.", "%s likes numbers.", "%s does the homework.")
                .formatted(cast.hero().name());
        String sums = IntStream.range(0, dice.number(2, 4)).mapToObj(_ -> {
            int a = dice.number(0, MOST);
            boolean plus = dice.chance(0.5);
            int b = dice.number(plus ? 0 : 1, plus ? Math.min(9, MOST - a) : Math.max(1, Math.min(9, a)));
            return plus || b > a ? "%d + %d = %d.".formatted(a, b, a + b) : "%d - %d = %d.".formatted(a, b, a - b);
        }).collect(Collectors.joining(" "));
        return opening + " " + sums + " "
                + dice.pick("\"Well done,\" says %s.", "\"That is right,\" says %s.", "%s checks them all.").formatted(cast.other().name());
    }

    private static String compares(Cast cast, Dice dice) {
        int mine = dice.number(0, MOST);
        int yours;
        do {
            yours = dice.number(0, MOST);
        } while (yours == mine);
        String thing = dice.pick(Lexicon.THINGS);
        Person more = mine > yours ? cast.hero() : cast.other();
        Person fewer = mine > yours ? cast.other() : cast.hero();
        return "%s has %s and %s has %s. %s has more %s than %s.".formatted(cast.hero().name(), count(mine, thing), cast.other().name(),
                count(yours, thing),
                more.name(), many(2, thing), fewer.name());
    }

    private static String hides(Cast cast, Dice dice) {
        Person hero = cast.hero();
        Person other = cast.other();
        String color = dice.pick(Lexicon.COLORS);
        String toy = dice.pick(Lexicon.TOYS);
        String container = dice.pick(Lexicon.CONTAINERS);
        String place = dice.pick(Lexicon.PLACES);
        String hide = "%s has %s %s. %s puts the %s in the %s and goes to the %s.".formatted(hero.name(), a(color), toy,
                capital(hero.subject()), toy, container, place);
        String look = dice.pick("%2$s looks for the %3$s. It is not in the %4$s. It is in the %5$s.",
                "%2$s wants to play with the %3$s. %2$s opens the %5$s and finds it.",
                "\"Where is my %1$s %3$s?\" asks %6$s. \"It is in the %5$s,\" says %2$s.");
        String elsewhere;
        do {
            elsewhere = dice.pick(Lexicon.CONTAINERS);
        } while (elsewhere.equals(container));
        return hide + " " + look.formatted(color, other.name(), toy, elsewhere, container, hero.name());
    }

    private static String counts(Cast cast, Dice dice) {
        int many = dice.number(2, 9);
        String animal = dice.pick(Lexicon.ANIMALS.stream().filter(one -> !one.equals("mouse") && !one.equals("fox")).toList());
        String place = dice.pick(Lexicon.PLACES);
        String counting = IntStream.rangeClosed(1, many).mapToObj(Lexicon::word).collect(Collectors.joining(", "));
        return "%s sees some %ss near the %s. %s counts them: %s. There are %s %ss.".formatted(cast.hero().name(), animal, place,
                capital(cast.hero().subject()), counting,
                dice.chance(0.5) ? word(many) : Integer.toString(many), animal);
    }

    private static String trades(Cast cast, Dice dice) {
        String mine = dice.pick(Lexicon.TOYS);
        String yours;
        do {
            yours = dice.pick(Lexicon.TOYS);
        } while (yours.equals(mine));
        String myColor = dice.pick(Lexicon.COLORS);
        String yourColor = dice.pick(Lexicon.COLORS);
        return "%s has %s %s. %s has %s %s. They trade. Now %s has the %s %s and %s has the %s %s.".formatted(cast.hero().name(),
                a(myColor), mine, cast.other().name(),
                a(yourColor), yours, cast.hero().name(), yourColor, yours, cast.other().name(), myColor, mine);
    }

    private static String asksColor(Cast cast, Dice dice) {
        String animal = dice.pick(Lexicon.ANIMALS);
        String color = dice.pick(Lexicon.COLORS);
        String size = dice.pick(Lexicon.SIZES);
        String owner = dice.chance(0.5) ? cast.hero().name() : cast.other().name();
        return "%s has %s %s. It is very %s. \"What color is the %s?\" asks the %s. \"It is %s,\" says %s.".formatted(owner, a(color),
                animal, size, animal,
                dice.pick(Lexicon.KIN), color, owner);
    }

    private static String ages(Cast cast, Dice dice) {
        Person third;
        do {
            third = dice.pick(Lexicon.PEOPLE);
        } while (third.equals(cast.hero()) || third.equals(cast.other()));
        List<String> pair = dice.pick(List.of("older", "oldest"), List.of("taller", "tallest"), List.of("faster", "fastest"),
                List.of("stronger", "strongest"));
        return "%1$s is %4$s than %2$s. %2$s is %4$s than %3$s. So %1$s is the %5$s.".formatted(cast.hero().name(), cast.other().name(),
                third.name(), pair.getFirst(),
                pair.getLast());
    }

    private static String animals(Cast cast, Dice dice) {
        String animal = dice.pick(Lexicon.ANIMALS);
        String color = dice.pick(Lexicon.COLORS);
        String place = dice.pick(Lexicon.PLACES);
        String mood = dice.pick(Lexicon.MOODS);
        return "%1$s meets %2$s %3$s at the %4$s. The %3$s is %5$s. %6$s".formatted(cast.hero().name(), a(color), animal, place, mood,
                dice.pick("%1$s gives the %2$s some food and the %2$s is happy.", "%1$s sits down next to the %2$s %3$s.",
                        "The %3$s %2$s follows %1$s home.",
                        "\"Hello, little %2$s,\" says %1$s.", "Then the %3$s %2$s runs back to the %4$s.")
                        .formatted(cast.hero().name(), animal, color, place));
    }

    private static String weather(Cast cast, Dice dice) {
        String weather = dice.pick(Lexicon.WEATHERS);
        String reaction = switch (weather) {
            case "rainy" -> "%s takes an umbrella and stays dry.";
            case "snowy" -> "%s makes a snowman with a carrot for a nose.";
            case "windy" -> "%s flies a kite above the trees.";
            case "cold" -> "%s puts on a thick coat.";
            case "foggy" -> "%s walks slowly and holds a lamp.";
            case "cloudy" -> "%s looks at the gray sky and waits.";
            default -> "%s swims in the lake.";
        };
        return "It is %s outside. ".formatted(weather) + reaction.formatted(cast.hero().name());
    }

    private static String cooks(Cast cast, Dice dice) {
        String food = dice.pick(Lexicon.FOODS);
        String mood = dice.pick(Lexicon.MOODS);
        return "%s is hungry and makes some %s. %s smells the %s and comes to the kitchen. They eat the %s together and feel %s.".formatted(
                cast.hero().name(), food,
                cast.other().name(), food, food, mood);
    }
}
