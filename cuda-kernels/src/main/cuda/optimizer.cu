// Steps of Adam's kind. Meaning: AdamWStep.java, AdamMoments.java, MoFoStep.java.
//
//   moments:  m <- m + (1 - beta1)(g - m)                    v <- v + (1 - beta2)(g^2 - v)
//   adamw:    moments, then p <- p decay - rate m / (root sqrt(v) + eps)          decay = 1 - lr weight_decay, rate = lr / c1, root = 1 / sqrt(c2), c = 1 - beta^t
//   mofo:     p <- p decay - rate m [|m| >= threshold] / (root sqrt(v) + eps)
//
// What is written may be what is read. 28 bytes an element for adamw.
#include "kernel.cuh"

struct Adam {
    float mix1, mix2, rate, root, decay, eps;
};

DEVICE float stepped(const Adam& a, float p, float m, float v) { return p * a.decay - m * a.rate / (sqrtf(v) * a.root + a.eps); }

KERNEL(256, adamw_f32, (Adam a, const float* p, const float* m, const float* v, const float* g, float* p1, float* m1, float* v1, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) {
        float momentum = m[i] + a.mix1 * (g[i] - m[i]), square = v[i] + a.mix2 * (g[i] * g[i] - v[i]);
        p1[i] = stepped(a, p[i], momentum, square);
        m1[i] = momentum;
        v1[i] = square;
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
