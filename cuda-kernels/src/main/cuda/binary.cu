// Functions of two numbers, element by element. Meaning: Binary.java.
//
//   y = f(a, b)            comparisons give 1 or 0
//
// Any shape and strides; what is stretched has strides of 0. 12 bytes an element in F32, so aim for the bandwidth of a copy. Versions: _f32 for F32 and what is stored in 16 bits, _f64 for everything.
#include "binary.cuh"

template <class R> DEVICE void binary(int f, const Operand& a, const Operand& b, const Operand& y, i64 n) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<R>(y, i, value(f, get<R>(a, i), get<R>(b, i)));
}

KERNEL(256, binary_f32, (int f, const __grid_constant__ Operand a, const __grid_constant__ Operand b, const __grid_constant__ Operand y, i64 n)) { binary<float>(f, a, b, y, n); }
KERNEL(256, binary_f64, (int f, const __grid_constant__ Operand a, const __grid_constant__ Operand b, const __grid_constant__ Operand y, i64 n)) { binary<double>(f, a, b, y, n); }
