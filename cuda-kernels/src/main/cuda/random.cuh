// Random numbers that depend on a seed and their own number alone, the same on every backend, to the bit. Meaning: Random.java, BoxMuller.java. Compiled without contraction of products and
// sums: what is fused says so.
#pragma once
#include "elements.cuh"

DEVICE u64 mix(u64 z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

// @param mixed  mix(seed)
DEVICE u64 randomBits(u64 mixed, i64 i) { return mix(mixed + u64(i) * 0x9E3779B97F4A7C15ull); }

// 24 bits of it, exact in F32.
DEVICE float uniform(u64 mixed, i64 i) { return float(randomBits(mixed, i) >> 40) * 0x1p-24f; }

DEVICE double fraction(u64 mixed, i64 i) { return double(randomBits(mixed, i) >> 11) * 0x1p-53; }

DEVICE double logarithm(double u) {
    i64 bits = __double_as_longlong(u), t = bits - 0x3FE6A09E667F3BCDll;
    i64 k = t >> 52;
    double m = __longlong_as_double(bits - i64(u64(k) << 52));
    double s = (m - 1) / (m + 1), z = s * s;
    double sum = 2.0 / 21;
    for (int n = 9; n >= 0; n--) sum = __fma_rn(sum, z, 2.0 / (2 * n + 1));
    return __fma_rn(double(k), 0.6931471805599453, s * sum);
}

// cos 2 pi v
DEVICE double cosine(double v) {
    const double c[] = {6.283185307179586, -41.34170224039976, 81.60524927607506, -76.70585975306139, 42.058693944897655, -15.09464257682299,
                        3.819952584848282, -0.7181223017785006, 0.10422916220813984, -0.012031585942120627, 0.0011309237482517963};
    double w = fabs(v - 0.5) - 0.25, z = w * w;
    double sum = c[10];
#pragma unroll
    for (int n = 9; n >= 0; n--) sum = __fma_rn(sum, z, c[n]);
    return w * sum;
}

DEVICE double normal(u64 mixed, i64 i) { return sqrt(-2 * logarithm(1 - fraction(mixed, 2 * i))) * cosine(fraction(mixed, 2 * i + 1)); }
