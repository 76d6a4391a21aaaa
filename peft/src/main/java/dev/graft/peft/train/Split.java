package dev.graft.peft.train;

import java.util.List;
import java.util.stream.IntStream;

/// Records to train on, and records held out to validate on.
public record Split<T>(List<T> train, List<T> validation) {
    private static final long DRAW = -1;

    /// Holds out `size` records, which the seed draws. Both parts keep the order of the whole.
    public static <T> Split<T> of(List<T> all, int size, long seed) {
        if (size < 0 || size >= all.size() && size > 0) {
            throw new IllegalArgumentException(
                    "%d of %d records cannot be held out for validation; at least one must stay to train on".formatted(size, all.size()));
        }
        int[] order = Shuffle.permutation(all.size(), seed, DRAW);
        return new Split<>(pick(all, order, size, all.size()), pick(all, order, 0, size));
    }

    private static <T> List<T> pick(List<T> all, int[] order, int from, int to) {
        return IntStream.range(from, to).map(i -> order[i]).sorted().mapToObj(all::get).toList();
    }
}
