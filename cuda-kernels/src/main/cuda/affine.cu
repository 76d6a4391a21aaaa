// Arithmetic with constants. Meaning: Affine.java.
//
//   y = scale x + shift
//
// x, y: any shape and strides. 8 bytes an element in F32. Versions: _f32 for F32 and what is stored in 16 bits, _f64 for everything.
#include "elements.cuh"

KERNEL(256, affine_f32, (float scale, float shift, const __grid_constant__ Operand x, const __grid_constant__ Operand y, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<float>(y, i, fmaf(scale, get<float>(x, i), shift));
}
KERNEL(256, affine_f64, (double scale, double shift, const __grid_constant__ Operand x, const __grid_constant__ Operand y, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<double>(y, i, scale * get<double>(x, i) + shift);
}
