// Elements of tensors of any type and any strides, and what they become in arithmetic.
#pragma once
#include "kernel.cuh"

// In the order of DType.
enum Type { F64, F32, BF16, F16, I64, I32, I8 };

constexpr int AXES = 8;

// A tensor where it lies: element (i, j, ...) is at i strides[0] + j strides[1] + ..., counted in elements; a stride of 0 repeats an axis. No axis that could be joined with the
// next is apart from it, and there is one at least.
struct Operand {
    char* data;
    int type, rank;
    int dims[AXES];
    i64 strides[AXES];
};

// Of the element at a row-major position, the number of elements before it in memory.
DEVICE i64 placeOf(const Operand& o, i64 position) {
    if (o.rank == 1) return position * o.strides[0];
    i64 place = 0;
    if (position <= 0xffffffffll) {                                  // division of 64 bits takes several times as long
        u32 left = u32(position);
        for (int i = o.rank - 1; i > 0; i--) {
            u32 rest = left / u32(o.dims[i]);
            place += i64(left - rest * u32(o.dims[i])) * o.strides[i];
            left = rest;
        }
        return place + i64(left) * o.strides[0];
    }
    for (int i = o.rank - 1; i > 0; i--) {
        place += position % o.dims[i] * o.strides[i];
        position /= o.dims[i];
    }
    return place + position * o.strides[0];
}

DEVICE float ofBits(u32 bits) { return __uint_as_float(bits); }

// Read at once.
struct __align__(16) Unit {
    u32 parts[4];
};
struct __align__(8) HalfUnit {
    u32 parts[2];
};

DEVICE float bf16ToFloat(u16 bits) { return ofBits(u32(bits) << 16); }

// To nearest, ties to even; a NaN stays one.
DEVICE u16 floatToBf16(float v) {
    u32 bits = __float_as_uint(v);
    if (v != v) return u16(bits >> 16 | 0x40);
    return u16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Towards zero, saturating, 0 of a NaN: as Java converts.
DEVICE i64 toInteger(double v, double lowest, double highest, i64 least, i64 most) { return v != v ? 0 : v >= highest ? most : v <= lowest ? least : i64(v); }

template <class R> struct Arithmetic;

// F32 and what is stored in 16 bits.
template <> struct Arithmetic<float> {
    static DEVICE float get(const char* data, int type, i64 at) {
        if (type == F32) return reinterpret_cast<const float*>(data)[at];
        u16 bits = reinterpret_cast<const u16*>(data)[at];
        return type == BF16 ? bf16ToFloat(bits) : ptx::half_to_float(bits);
    }
    static DEVICE void put(char* data, int type, i64 at, float v) {
        if (type == F32) reinterpret_cast<float*>(data)[at] = v;
        else reinterpret_cast<u16*>(data)[at] = type == BF16 ? floatToBf16(v) : ptx::float_to_half(v);
    }
};

// Everything, in double precision.
template <> struct Arithmetic<double> {
    static DEVICE double get(const char* data, int type, i64 at) {
        switch (type) {
            case F64: return reinterpret_cast<const double*>(data)[at];
            case I64: return double(reinterpret_cast<const i64*>(data)[at]);
            case I32: return double(reinterpret_cast<const int*>(data)[at]);
            case I8: return double(reinterpret_cast<const signed char*>(data)[at]);
            default: return double(Arithmetic<float>::get(data, type, at));
        }
    }
    static DEVICE void put(char* data, int type, i64 at, double v) {
        switch (type) {
            case F64: reinterpret_cast<double*>(data)[at] = v; break;
            case I64: reinterpret_cast<i64*>(data)[at] = toInteger(v, -0x1p63, 0x1p63, -0x7fffffffffffffffll - 1, 0x7fffffffffffffffll); break;
            case I32: reinterpret_cast<int*>(data)[at] = int(toInteger(v, -0x1p31, 0x1p31 - 1, -0x7fffffffll - 1, 0x7fffffffll)); break;
            case I8: reinterpret_cast<signed char*>(data)[at] = (signed char)(toInteger(v, -128, 127, -128, 127)); break;
            default: Arithmetic<float>::put(data, type, at, float(v));
        }
    }
};

// The element at a row-major position.
template <class R> DEVICE R get(const Operand& o, i64 position) { return Arithmetic<R>::get(o.data, o.type, placeOf(o, position)); }
template <class R> DEVICE void put(const Operand& o, i64 position, R v) { Arithmetic<R>::put(o.data, o.type, placeOf(o, position), v); }

template <class R> DEVICE R larger(R a, R b) { return a != a ? a : b != b ? b : a > b ? a : b; }
template <class R> DEVICE R smaller(R a, R b) { return a != a ? a : b != b ? b : a < b ? a : b; }
