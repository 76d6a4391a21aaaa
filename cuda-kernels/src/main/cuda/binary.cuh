// The functions of two numbers, for binary.cu and chain.cu. Meaning: Binary.java.
#pragma once
#include "elements.cuh"

// In the order of Binary.
enum OfTwo { ADD, SUB, MUL, DIV, MAX, MIN, LT, LE, EQ };

template <class R> DEVICE R value(int f, R a, R b) {
    switch (f) {
        case ADD: return a + b;
        case SUB: return a - b;
        case MUL: return a * b;
        case DIV: return a / b;
        case MAX: return larger(a, b);
        case MIN: return smaller(a, b);
        case LT: return a < b;
        case LE: return a <= b;
        default: return a == b;
    }
}
