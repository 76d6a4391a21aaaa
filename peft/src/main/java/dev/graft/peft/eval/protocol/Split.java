package dev.graft.peft.eval.protocol;

import java.util.List;

/// Training, development and test parts of a set whose own test labels are hidden, as ALoRA (arXiv:2403.16187) makes them.
///
/// ```
/// fewer than 10,000 to train on    train = train              dev, test = the two halves of the set's dev
/// more                             train = train − 1,000      dev = those 1,000      test = the set's dev
/// ```
///
/// Which ones is not said there; here the set is shuffled by Python's generator, seeded with 42: the first half, or the first 1,000, are dev, the rest goes on in that order.
///
/// @param <T> a record
public record Split<T>(List<T> train, List<T> dev, List<T> test) {
    private static final int FEW = 10_000;
    private static final int MOVED = 1_000;

    static <T> Split<T> of(List<T> train, List<T> dev) {
        if (isHalved(train.size())) return new Split<>(train, halves(dev).getFirst(), halves(dev).getLast());
        List<T> shuffled = new PythonRandom(42).shuffled(train);
        return new Split<>(shuffled.subList(MOVED, shuffled.size()), shuffled.subList(0, MOVED), dev);
    }

    static boolean isHalved(int train) {
        return train < FEW;
    }

    /// The smaller first where they differ.
    static <T> List<List<T>> halves(List<T> dev) {
        List<T> shuffled = new PythonRandom(42).shuffled(dev);
        return List.of(shuffled.subList(0, dev.size() / 2), shuffled.subList(dev.size() / 2, dev.size()));
    }
}
