// Choice, element by element. Meaning: Where.java.
//
//   y = condition != 0 ? a : b
//
// condition, a, b, y: any shape and strides, condition of any type. Elements are moved as they are: `bytes` is the size of one. The condition and the chosen one are read, y is written.
#include "elements.cuh"

template <class T> DEVICE void where(const Operand& condition, const Operand& a, const Operand& b, const Operand& y, i64 n) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) {
        const Operand& chosen = get<double>(condition, i) != 0 ? a : b;
        reinterpret_cast<T*>(y.data)[placeOf(y, i)] = reinterpret_cast<const T*>(chosen.data)[placeOf(chosen, i)];
    }
}

KERNEL(256, where_any, (int bytes, const __grid_constant__ Operand condition, const __grid_constant__ Operand a, const __grid_constant__ Operand b, const __grid_constant__ Operand y, i64 n)) {
    switch (bytes) {
        case 1: where<u8>(condition, a, b, y, n); break;
        case 2: where<u16>(condition, a, b, y, n); break;
        case 4: where<u32>(condition, a, b, y, n); break;
        default: where<u64>(condition, a, b, y, n);
    }
}
