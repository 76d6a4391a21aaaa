// The numbers that codes stand for. Meaning: Q8MatMul.java, Nf4.java.
#pragma once
#include "kernel.cuh"

DEVICE float nf4Value(int code) {
    const float values[] = {-1.f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.f,
                            0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.f};
    return values[code];
}

// Number i of those that lie in words one after another.
DEVICE float q8Code(const u32* words, int i) { return float((signed char)(words[i / 4] >> 8 * (i % 4) & 255)); }

DEVICE int nf4Code(const u32* words, int i) { return words[i / 8] >> (8 * (i % 8 / 2) + 4 * (1 - i % 2)) & 15; }

// Scales of blocks: F32 as they are, or codes of 8 bits, `dynamic` the 256 numbers they stand for.
struct Absmax {
    const float* scales;                                             // null where they are quantised
    const u8* codes;
    const float *nested, *offset, *dynamic;

    DEVICE float at(i64 block) const { return scales ? scales[block] : dynamic[codes[block]] * nested[block / 256] + *offset; }
};
