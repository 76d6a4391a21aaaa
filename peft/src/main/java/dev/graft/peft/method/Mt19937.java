package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.tensor.Tensor;
import java.util.HashMap;
import java.util.Map;

/// The Mersenne Twister (Matsumoto and Nishimura 1998) as torch's CPU generator draws from it, so that what PEFT leaves out of a file because it follows from a seed follows here too.
final class Mt19937 {
    private static final int N = 624;
    private static final int M = 397;

    private final int[] state = new int[N];
    private int next = N;

    Mt19937(long seed) {
        state[0] = (int) seed;
        for (int i = 1; i < N; i++) state[i] = 1812433253 * (state[i - 1] ^ state[i - 1] >>> 30) + i;
    }

    /// 32 random bits.
    int bits() {
        if (next == N) {
            for (int i = 0; i < N; i++) {
                int y = state[i] & 0x80000000 | state[(i + 1) % N] & 0x7fffffff;
                state[i] = state[(i + M) % N] ^ y >>> 1 ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
            }
            next = 0;
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= y << 7 & 0x9d2c5680;
        y ^= y << 15 & 0xefc60000;
        return y ^ y >>> 18;
    }

    /// A number of 24 bits in [0, 1): an element of `torch.rand`.
    float uniform() {
        return (bits() & 0xffffff) * 0x1p-24f;
    }

    /// `torch.nn.init.kaiming_uniform_` with a = 0, after the generator has given `skipped` numbers: uniform in ±√6/√(last size).
    static Init kaimingUniform(long seed, long skipped) {
        return (shape, _) -> {
            Mt19937 random = new Mt19937(seed);
            for (long i = 0; i < skipped; i++) random.bits();
            float bound = (float) (Math.sqrt(3) * (Math.sqrt(2) / Math.sqrt(shape.dim(-1))));
            float[] values = new float[Math.toIntExact(shape.size())];
            for (int i = 0; i < values.length; i++) values[i] = random.uniform() * (bound - -bound) + -bound;
            return Tensor.of(values, shape.dims());
        };
    }

    /// The first `count` of `torch.randperm(size)`, for sizes that fit 32 bits.
    int[] permutation(long size, int count) {
        Map<Long, Long> moved = new HashMap<>();
        int[] first = new int[count];
        for (int i = 0; i < count; i++) {
            long j = i + Integer.toUnsignedLong(bits()) % (size - i);
            first[i] = Math.toIntExact(moved.getOrDefault(j, j));
            moved.put(j, moved.getOrDefault((long) i, (long) i));
        }
        return first;
    }
}
