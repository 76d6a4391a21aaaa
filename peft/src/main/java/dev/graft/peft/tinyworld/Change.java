package dev.graft.peft.tinyworld;

import dev.graft.peft.tinyworld.Lexicon.Person;

/// One way in which somebody comes to have more or fewer things. Stories and word problems share these sentences, so that what a verb does
/// to a count is learnt from the stories.
enum Change {
    FINDS(+1, "%s finds %d more."), //
    BUYS(+1, "%s buys %d more at the market."), //
    WINS(+1, "%s wins %d more."), //
    PICKS(+1, "%s picks up %d more."), //
    GETS(+1, "%s gets %d more from %s."), //
    GIVES(-1, "%s gives %d to %s."), //
    LOSES(-1, "%s loses %d."), //
    SELLS(-1, "%s sells %d."), //
    BREAKS(-1, "%s breaks %d."), //
    THROWS(-1, "%s throws away %d.");

    /// +1 where the count grows, -1 where it shrinks.
    final int sign;
    private final String sentence;

    Change(int sign, String sentence) {
        this.sign = sign;
        this.sentence = sentence;
    }

    String tell(String who, int howMany, Person other) {
        return sentence.formatted(who, howMany, other.name());
    }

    /// `7 + 5 = 12`
    String equation(int before, int howMany) {
        return "%d %s %d = %d".formatted(before, sign > 0 ? "+" : "-", howMany, before + sign * howMany);
    }

    static Change withSign(int sign, Dice dice) {
        Change change;
        do {
            change = dice.pick(values());
        } while (change.sign != sign);
        return change;
    }
}
