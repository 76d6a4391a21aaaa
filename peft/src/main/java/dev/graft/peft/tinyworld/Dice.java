package dev.graft.peft.tinyworld;

import java.util.List;

/// Random choices that depend on nothing but a seed and an index, on every JDK: SplitMix64 (Steele, Lea, Flood 2014).
///
/// ```
/// state += 0x9e3779b97f4a7c15;  z = state;
/// z = (z ^ (z >>> 30)) · 0xbf58476d1ce4e5b9;  z = (z ^ (z >>> 27)) · 0x94d049bb133111eb;  next = z ^ (z >>> 31)
/// ```
final class Dice {
    private long state;

    private Dice(long state) {
        this.state = state;
    }

    /// The dice of the `index`-th thing made from `seed`.
    static Dice of(long seed, long index) {
        Dice mixed = new Dice(seed);
        return new Dice(mixed.next() ^ new Dice(index ^ 0x5DEECE66DL).next());
    }

    /// A well-mixed number for a piece of text.
    static long hash(String text) {
        Dice dice = new Dice(text.length());
        for (int i = 0; i < text.length(); i++) {
            dice.state = dice.next() ^ text.charAt(i);
        }
        return dice.next();
    }

    private long next() {
        state += 0x9e3779b97f4a7c15L;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }

    /// From `low` to `high`, both included.
    int number(int low, int high) {
        return low + (int) Long.remainderUnsigned(next(), (long) high - low + 1);
    }

    boolean chance(double probability) {
        return (next() >>> 11) * 0x1.0p-53 < probability;
    }

    <T> T pick(List<T> choices) {
        return choices.get(number(0, choices.size() - 1));
    }

    @SafeVarargs
    final <T> T pick(T... choices) {
        return choices[number(0, choices.length - 1)];
    }
}
