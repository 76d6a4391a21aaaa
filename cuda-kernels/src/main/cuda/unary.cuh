// The functions of one number and their derivatives, for unary.cu and chain.cu. Meaning: Unary.java.
#pragma once
#include "elements.cuh"

// In the order of Unary.
enum OfOne { ABS, SIGN, SQUARE, SQRT, RSQRT, RECIP, EXP, LOG, SIN, COS, TANH, SIGMOID, RELU, SILU, GELU, GELU_TANH, SOFTPLUS, ERF };

template <class R> DEVICE R sigma(R x) { return R(1) / (R(1) + exp(-x)); }
// The normal distribution function, without cancellation for negative x.
template <class R> DEVICE R phi(R x) { return R(0.5) * erfc(-x * R(0.70710678118654752)); }
template <class R> DEVICE R inner(R x) { return R(0.79788456080286536) * (x + R(0.044715) * x * x * x); }

template <class R> DEVICE R value(int f, R x) {
    switch (f) {
        case ABS: return fabs(x);
        case SIGN: return x > 0 ? R(1) : x < 0 ? R(-1) : x;
        case SQUARE: return x * x;
        case SQRT: return sqrt(x);
        case RSQRT: return R(1) / sqrt(x);
        case RECIP: return R(1) / x;
        case EXP: return exp(x);
        case LOG: return log(x);
        case SIN: return sin(x);
        case COS: return cos(x);
        case TANH: return tanh(x);
        case SIGMOID: return sigma(x);
        case RELU: return x > 0 ? x : 0 * x;
        case SILU: return x * sigma(x);
        case GELU: return x * phi(x);
        case GELU_TANH: return x / 2 * (1 + tanh(inner(x)));
        case SOFTPLUS: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
        default: return erf(x);
    }
}

template <class R> DEVICE R derivative(int f, R x) {
    switch (f) {
        case ABS: return value(SIGN, x);
        case SIGN: return 0;
        case SQUARE: return 2 * x;
        case SQRT: return R(0.5) / sqrt(x);
        case RSQRT: { R y = R(1) / sqrt(x); return R(-0.5) * y * y * y; }
        case RECIP: { R y = R(1) / x; return -y * y; }
        case EXP: return exp(x);
        case LOG: return R(1) / x;
        case SIN: return cos(x);
        case COS: return -sin(x);
        case TANH: { R y = tanh(x); return 1 - y * y; }
        case SIGMOID: { R y = sigma(x); return y * (1 - y); }
        case RELU: return x > 0 ? 1 : 0;
        case SILU: { R s = sigma(x); return s + x * s * (1 - s); }
        case GELU: return phi(x) + x * exp(-x * x / 2) * R(0.39894228040143268);
        case GELU_TANH: {
            R t = tanh(inner(x));
            return (1 + t) / 2 + x / 2 * (1 - t * t) * R(0.79788456080286536) * (1 + 3 * R(0.044715) * x * x);
        }
        case SOFTPLUS: return sigma(x);
        default: return R(1.1283791670955126) * exp(-x * x);
    }
}
