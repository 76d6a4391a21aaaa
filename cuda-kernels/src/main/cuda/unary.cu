// Functions of one number, and their gradients. Meaning: Unary.java, UnaryGrad.java.
//
//   unary:       y = f(x)
//   unary_grad:  dx = dy f'(x)
//
// Any shape and strides. One thread per element, many elements a thread; 8 bytes an element in F32 (12 for the gradient), so aim for the bandwidth of a copy. Versions: _f32 for F32 and what is stored in 16 bits, _f64 for everything.
#include "unary.cuh"

template <class R> DEVICE void unary(int f, const Operand& x, const Operand& y, i64 n) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<R>(y, i, value(f, get<R>(x, i)));
}
template <class R> DEVICE void unaryGrad(int f, const Operand& x, const Operand& dy, const Operand& dx, i64 n) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<R>(dx, i, get<R>(dy, i) * derivative(f, get<R>(x, i)));
}

KERNEL(256, unary_f32, (int f, const __grid_constant__ Operand x, const __grid_constant__ Operand y, i64 n)) { unary<float>(f, x, y, n); }
KERNEL(256, unary_f64, (int f, const __grid_constant__ Operand x, const __grid_constant__ Operand y, i64 n)) { unary<double>(f, x, y, n); }
KERNEL(256, unary_grad_f32, (int f, const __grid_constant__ Operand x, const __grid_constant__ Operand dy, const __grid_constant__ Operand dx, i64 n)) { unaryGrad<float>(f, x, dy, dx, n); }
KERNEL(256, unary_grad_f64, (int f, const __grid_constant__ Operand x, const __grid_constant__ Operand dy, const __grid_constant__ Operand dx, i64 n)) { unaryGrad<double>(f, x, dy, dx, n); }
