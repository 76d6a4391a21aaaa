// Several functions, element by element, one after another in one launch: values in between stay on the multiprocessor. Meaning: Unary.java, UnaryGrad.java, Binary.java, Affine.java, Where.java,
// Cast.java.
//
//   value[to] = f(value[a], value[b], value[c])      step by step, for each of n elements
//
// Each step gives what its own kernel (unary.cu, binary.cu, affine.cu, where.cu, copy.cu) would, to the bit. Inputs have any strides and are read once, results lie row-major, and those that nobody will
// read are not written: of k functions on one tensor, 8 bytes an element in F32 where one by one they take 8 k. A thread keeps its values in shared memory, where they may be chosen by number, and has
// several elements at a time, so that a step is looked at once for all of them.
#include "binary.cuh"
#include "unary.cuh"

constexpr int STEPS = 24, INPUTS = 8, RESULTS = 16, VALUES = 8, THREADS = 256, EACH = 4;

enum Kind { LOAD, UNARY, UNARY_GRAD, BINARY, AFFINE, WHERE, CAST };

struct Step {
    u8 kind, f, to, a, b, c;                                         // of a LOAD, a is the number of an input
    u8 type;                                                         // of the result: F32, or what it is rounded to
    u8 result;                                                       // where it is written: the number of a result, from 1; 0: nowhere
    float scale, shift;
};

struct Chain {
    i64 steps;
    Step step[STEPS];
    Operand input[INPUTS];
    char* result[RESULTS];
};

DEVICE float rounded(int type, float v) { return type == F32 ? v : type == BF16 ? bf16ToFloat(floatToBf16(v)) : ptx::half_to_float(ptx::float_to_half(v)); }

KERNEL(256, chain_f32, (const __grid_constant__ Chain chain, i64 n)) {
    SHARED(float, values, [VALUES][EACH][THREADS]);
    int t = threadIdx.x;
    for (i64 first = i64(blockIdx.x) * EACH * THREADS + t; first < n; first += threadCount() * EACH) {
        for (int s = 0; s < chain.steps; s++) {
            const Step& step = chain.step[s];
            auto each = [&](auto f) {
#pragma unroll
                for (int j = 0; j < EACH; j++) {
                    i64 i = first + j * THREADS;
                    if (i >= n) break;
                    float v = rounded(step.type, f(j, i));
                    values[step.to][j][t] = v;
                    if (step.result) Arithmetic<float>::put(chain.result[step.result - 1], step.type, i, v);
                }
            };
            auto a = [&](int j) { return values[step.a][j][t]; };
            auto b = [&](int j) { return values[step.b][j][t]; };
            auto c = [&](int j) { return values[step.c][j][t]; };
            switch (step.kind) {
                case LOAD: each([&](int, i64 i) { return get<float>(chain.input[step.a], i); }); break;
                case UNARY: each([&](int j, i64) { return value(step.f, a(j)); }); break;
                case UNARY_GRAD: each([&](int j, i64) { return b(j) * derivative(step.f, a(j)); }); break;
                case BINARY: each([&](int j, i64) { return value(step.f, a(j), b(j)); }); break;
                case AFFINE: each([&](int j, i64) { return fmaf(step.scale, a(j), step.shift); }); break;
                case WHERE: each([&](int j, i64) { return a(j) != 0 ? b(j) : c(j); }); break;
                default: each([&](int j, i64) { return a(j); });
            }
        }
    }
}
