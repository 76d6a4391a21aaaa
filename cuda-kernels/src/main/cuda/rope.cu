// Rotary position embedding. Meaning: Rope.java.
//
//   y1 = x1 cos - s x2 sin      y2 = x2 cos + s x1 sin      s = +1, or -1 when inverse
//   pairs, among the first 2 `half` of d: (i, i + half), or (2i, 2i + 1) where interleaved
//
// x, y: [tokens, heads, d], cos, sin: [positions, half], position: I32 or I64 [tokens]. One thread per element; 8 bytes of it, the other of the pair and the angles from the cache.
#include "fault.cuh"

KERNEL(256, rope_f32, (const float* x, const float* cos, const float* sin, const char* position, int isLong, float* y, i64 tokens, int heads, int d, int half, int positions,
                       int interleaved, float s, Fault* fault)) {
    for (i64 e = threadNumber(); e < tokens * heads * d; e += threadCount()) {
        i64 head = e / d, token = head / heads;
        int i = int(e - head * d);
        i64 p = indexAt(position, isLong, token);
        if (p < 0 || p >= positions) {
            report(fault, ROPE_POSITION, p, positions - 1);
            continue;
        }
        if (i >= 2 * half) {
            y[e] = x[e];
            continue;
        }
        int pair = interleaved ? i / 2 : i % half;
        bool isFirst = interleaved ? i % 2 == 0 : i < half;
        int distance = interleaved ? 1 : half;
        float c = cos[p * half + pair], z = s * sin[p * half + pair];
        y[e] = isFirst ? x[e] * c - x[e + distance] * z : x[e] * c + x[e - distance] * z;
    }
}
