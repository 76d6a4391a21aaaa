// Random tensors, dropout, and steps along a random direction. Meaning: Random.java, Dropout.java, Perturb.java.
//
//   random:   y[i] = uniform or normal number start + i
//   dropout:  y = x [u >= p] / (1 - p)              u: uniform number i
//   perturb:  y = scale x + size z                  z: normal number i; each product rounded, then the sum
//
// x, y: any shape and strides (dropout: row-major, F32). Nothing is read but x, 4 bytes an element, and 4 are written: the numbers are made where they are used, a normal one in some 60 operations in double precision.
#include "random.cuh"

KERNEL(256, random_uniform, (u64 seed, i64 start, const __grid_constant__ Operand y, i64 n)) {
    u64 mixed = mix(seed);
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<double>(y, i, double(uniform(mixed, start + i)));
}
KERNEL(256, random_normal, (u64 seed, i64 start, const __grid_constant__ Operand y, i64 n)) {
    u64 mixed = mix(seed);
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<double>(y, i, normal(mixed, start + i));
}

// u >= p for u = k / 2^24 is k >= least.
KERNEL(256, dropout_f32, (u64 seed, i64 least, float scale, const float* x, float* y, i64 n)) {
    u64 mixed = mix(seed);
    for (i64 i = threadNumber(); i < n; i += threadCount()) y[i] = x[i] * (i64(randomBits(mixed, i) >> 40) >= least ? scale : 0.f);
}

// y may be x.
KERNEL(256, perturb, (u64 seed, float scale, float size, const __grid_constant__ Operand x, const __grid_constant__ Operand y, i64 n)) {
    u64 mixed = mix(seed);
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<float>(y, i, scale * get<float>(x, i) + size * float(normal(mixed, i)));
}
