// The k-th largest size. Meaning: KthLargest.java.
//
//   bits of |x|:  0 | 11 | 10 | 10        three times: count one digit of those that agree with the answer in the digits before, then choose the digit
//
// Counts are whole numbers, so the order in which they are added does not show. x, any shape in F32, is read three times: 12 bytes an element.
#include "kernel.cuh"

struct Search {
    i64 left;                                                        // elements that are to be at least the answer, among those that agree with it so far
    u32 answer;
};

KERNEL(1, kth_largest_begin, (Search* search, i64 k)) {
    search->left = k;
    search->answer = 0;
}

// Digit [to, from) of bits; counts are zeros.
KERNEL(256, kth_largest_count, (const float* x, i64 n, const Search* search, int from, int to, u32* counts)) {
    SHARED(u32, own, [2048]);
    u32 answer = search->answer, digits = 1u << (from - to);
    for (u32 d = threadIdx.x; d < digits; d += 256) own[d] = 0;
    __syncthreads();
    for (i64 i = threadNumber(); i < n; i += threadCount()) {
        u32 bits = __float_as_uint(x[i]) & 0x7fffffffu;
        if ((bits ^ answer) >> from == 0) atomicAdd(&own[bits >> to & (digits - 1)], 1u);
    }
    __syncthreads();
    for (u32 d = threadIdx.x; d < digits; d += 256)
        if (own[d]) atomicAdd(&counts[d], own[d]);
}

KERNEL(1, kth_largest_choose, (Search* search, const u32* counts, int from, int to)) {
    u32 d = (1u << (from - to)) - 1;
    i64 left = search->left;
    while (d > 0 && left > counts[d]) left -= counts[d--];
    search->left = left;
    search->answer |= d << to;
}

KERNEL(1, kth_largest_end, (const Search* search, float* y)) { *y = __uint_as_float(search->answer); }
