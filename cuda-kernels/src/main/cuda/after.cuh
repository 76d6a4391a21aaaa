// What becomes of a product before it is written: c = plus + scale a b. plus may be null, and may be c.
#pragma once
#include "kernel.cuh"

struct After {
    const float* plus;
    float scale;
    DEVICE float operator()(float sum, i64 at) const { return plus ? fmaf(scale, sum, plus[at]) : scale * sum; }
};
