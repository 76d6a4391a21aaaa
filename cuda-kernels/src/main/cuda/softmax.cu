// Softmax over rows, and its logarithm. Meaning: Softmax.java, LogSoftmax.java.
//
//   softmax:      y = e^(x - max x) / sum e^(x - max x)
//   log_softmax:  y = x - max x - ln sum e^(x - max x)
//
// x, y: [rows, n]. A block for each row, or a warp where rows are short; maximum and sum in one pass, so x is read twice and y written once: 12 bytes an element, of which a short row's second
// reading comes from the cache. Versions: _short for rows up to 1024.
#include "rows.cuh"

template <int WIDTH, bool IS_LOG> DEVICE void softmax(const float* x, float* y, i64 rows, int n) {
    Row<WIDTH> row;
    if (row.number >= rows) return;
    x += row.number * n;
    y += row.number * n;
    LogSum s = rowLogSum<WIDTH>(x, n, row.lane);
    float log = IS_LOG ? logf(s.sum) : 0;
    for (int i = row.lane; i < n; i += WIDTH) y[i] = IS_LOG ? x[i] - s.max - log : expf(x[i] - s.max) / s.sum;
}

KERNEL(256, softmax_f32, (const float* x, float* y, i64 rows, int n)) { softmax<BLOCK, false>(x, y, rows, n); }
KERNEL(256, softmax_short_f32, (const float* x, float* y, i64 rows, int n)) { softmax<WARP, false>(x, y, rows, n); }
KERNEL(256, log_softmax_f32, (const float* x, float* y, i64 rows, int n)) { softmax<BLOCK, true>(x, y, rows, n); }
KERNEL(256, log_softmax_short_f32, (const float* x, float* y, i64 rows, int n)) { softmax<WARP, true>(x, y, rows, n); }
