// Steps of Adam's kind. Meaning: AdamWStep.java, AdamMoments.java, MoFoStep.java.
//
//   moments:  m <- m + (1 - beta1)(g - m)                    v <- v + (1 - beta2)(g^2 - v)
//   adamw:    moments, then p <- p decay - rate m / (root sqrt(v) + eps)          decay = 1 - lr weight_decay, rate = lr / c1, root = 1 / sqrt(c2), c = 1 - beta^t
//   mofo:     p <- p decay - rate m [|m| >= threshold] / (root sqrt(v) + eps)
//
// What is written may be what is read. adamw has a row of blocks for each of many tensors; 28 bytes an element (20 for the moments, 16 for mofo). All in F32, row-major, of one shape.
#include "kernel.cuh"

struct Adam {
    float mix1, mix2, rate, root, decay, eps;
};

DEVICE float stepped(const Adam& a, float p, float m, float v) { return p * a.decay - m * a.rate / (sqrtf(v) * a.root + a.eps); }

struct Learned {
    const float *p, *m, *v, *g;
    float *p1, *m1, *v1;
    i64 n;
};
// As many as fit into the 4 KiB that a launch may take along.
struct Many {
    Learned of[56];
};

KERNEL(256, adamw_f32, (Adam a, const __grid_constant__ Many tensors)) {
    const Learned& t = tensors.of[blockIdx.y];
    for (i64 i = threadNumber(); i < t.n; i += threadCount()) {
        float g = t.g[i], momentum = t.m[i] + a.mix1 * (g - t.m[i]), square = t.v[i] + a.mix2 * (g * g - t.v[i]);
        t.p1[i] = stepped(a, t.p[i], momentum, square);
        t.m1[i] = momentum;
        t.v1[i] = square;
    }
}
KERNEL(256, adam_moments_f32, (float mix1, float mix2, const float* m, const float* v, const float* g, float* m1, float* v1, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) {
        float momentum = m[i] + mix1 * (g[i] - m[i]), square = v[i] + mix2 * (g[i] * g[i] - v[i]);
        m1[i] = momentum;
        v1[i] = square;
    }
}
KERNEL(256, mofo_f32, (Adam a, float threshold, const float* p, const float* m, const float* v, float* p1, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) p1[i] = stepped(a, p[i], fabsf(m[i]) >= threshold ? m[i] : 0, v[i]);
}
