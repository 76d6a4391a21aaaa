package dev.graft.peft.train;

import dev.graft.tensor.op.Random;

/// Random orders that depend on a seed and a number alone, so that a resumed run finds them again.
final class Shuffle {
    private Shuffle() {
    }

    /// 0, …, n − 1 in an order drawn for this seed and draw (Fisher & Yates).
    static int[] permutation(int n, long seed, long draw) {
        int[] order = new int[n];
        long key = Random.bits(seed, draw);
        for (int i = 0; i < n; i++) {
            int j = (int) Math.floorMod(Random.bits(key, i), (long) i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }
}
