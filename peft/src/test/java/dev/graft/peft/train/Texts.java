package dev.graft.peft.train;

import dev.graft.tensor.op.Random;
import java.util.List;
import java.util.stream.IntStream;

/// Made-up token ids in which something can be learned: each is mostly the one before it plus a constant of the text.
final class Texts {
    private Texts() {
    }

    /// Texts of 2 to 13 tokens; of every third the first tokens are a prompt.
    static List<Example> of(int count, long seed) {
        return of(count, seed, 13);
    }

    static List<Example> of(int count, long seed, int longest) {
        return IntStream.range(0, count).mapToObj(i -> {
            long key = Random.bits(seed, i);
            int length = 2 + (int) Math.floorMod(Random.bits(key, -1), longest - 1L);
            int stride = 1 + (int) Math.floorMod(Random.bits(key, -2), 3L);
            int[] ids = new int[length];
            for (int t = 0; t < length; t++) {
                ids[t] = t > 0 && Random.bits(key, t) % 5 != 0 ? (ids[t - 1] + stride) % ToyLm.VOCABULARY
                        : (int) Math.floorMod(Random.bits(key, 100 + t), 11L);
            }
            return i % 3 == 0 ? Example.of(ids, length / 2) : Example.of(ids);
        }).toList();
    }

    /// Texts in which there is nothing to learn.
    static List<Example> noise(int count, long seed) {
        return IntStream.range(0, count)
                .mapToObj(
                        i -> Example.of(IntStream.range(0, 9).map(t -> (int) Math.floorMod(Random.bits(seed, 9L * i + t), 11L)).toArray()))
                .toList();
    }
}
