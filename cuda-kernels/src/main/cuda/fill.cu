// Tensors from nothing. Meaning: Fill.java, Range.java.
//
//   fill:   y = value
//   range:  y[i] = start + i step
//
// y: any shape, strides and type. Written once: an element's bytes.
#include "elements.cuh"

KERNEL(256, fill, (double value, const __grid_constant__ Operand y, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<double>(y, i, value);
}
KERNEL(256, range, (double start, double step, const __grid_constant__ Operand y, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<double>(y, i, start + double(i) * step);
}
