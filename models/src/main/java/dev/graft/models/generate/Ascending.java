package dev.graft.models.generate;

import java.util.Arrays;

/// The order of scores from the smallest to the largest, ties by index, without the ones already ruled out.
final class Ascending {
    private Ascending() {}

    static int[] order(float[] scores) {
        long[] keys = new long[scores.length];
        int n = 0;
        for (int i = 0; i < scores.length; i++) {
            if (scores[i] != Float.NEGATIVE_INFINITY) {
                keys[n++] = (long) sortable(scores[i]) << 32 | i;
            }
        }
        Arrays.sort(keys, 0, n);
        int[] order = new int[n];
        for (int i = 0; i < n; i++) {
            order[i] = (int) keys[i];
        }
        return order;
    }

    /// An integer in the same order as the float: the bits, with those of negative numbers turned round.
    private static int sortable(float value) {
        int bits = Float.floatToIntBits(value + 0f); // -0 and 0 are equal
        return bits ^ bits >> 31 & 0x7FFF_FFFF;
    }
}
