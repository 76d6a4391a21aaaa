// The gated activation of LLaMA's MLP, and its gradient. Meaning: SwiGlu.java, SwiGluGrad.java.
//
//   swiglu:       y = silu(gate) up                          silu(g) = g sigma(g)
//   swiglu_grad:  dgate = dy up silu'(gate)                  dup = dy silu(gate)
//
// All of one shape, row-major, in F32. 12 bytes an element; 20 for the gradient.
#include "kernel.cuh"

DEVICE float sigma(float x) { return 1 / (1 + expf(-x)); }

KERNEL(256, swiglu_f32, (const float* gate, const float* up, float* y, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) y[i] = gate[i] * sigma(gate[i]) * up[i];
}
KERNEL(256, swiglu_grad_f32, (const float* gate, const float* up, const float* dy, float* dgate, float* dup, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) {
        float g = gate[i], s = sigma(g), d = dy[i];
        dgate[i] = d * up[i] * (s + g * s * (1 - s));
        dup[i] = d * (g * s);
    }
}
