// Root-mean-square normalisation and its gradient. Meaning: RmsNorm.java, RmsNormGrad.java.
//
//   rms_norm:       y = w x r                               r = 1 / sqrt(mean(x^2) + eps)
//   rms_norm_grad:  dx = r w dy - x r^3 mean(x w dy)
//
// x, y, dy, dx: [rows, n], w: [n], r: [rows]. A block for each row, or a warp where rows are short. 8 bytes an element (12 for the gradient) and as many from the cache. Versions: _short for rows up to 1024.
#include "rows.cuh"

template <int WIDTH> DEVICE void norm(const float* x, const float* w, float* y, float* r, i64 rows, int n, float eps) {
    Row<WIDTH> row;
    if (row.number >= rows) return;
    x += row.number * n;
    y += row.number * n;
    float sum = 0;
    for (int i = row.lane; i < n; i += WIDTH) sum = fmaf(x[i], x[i], sum);
    float own = 1 / sqrtf(rowFold<WIDTH, Sum>(sum) / n + eps);
    for (int i = row.lane; i < n; i += WIDTH) y[i] = x[i] * own * w[i];
    if (row.lane == 0) r[row.number] = own;
}

template <int WIDTH> DEVICE void grad(const float* x, const float* w, const float* r, const float* dy, float* dx, i64 rows, int n) {
    Row<WIDTH> row;
    if (row.number >= rows) return;
    x += row.number * n;
    dy += row.number * n;
    dx += row.number * n;
    float sum = 0;
    for (int i = row.lane; i < n; i += WIDTH) sum = fmaf(x[i], w[i] * dy[i], sum);
    float own = r[row.number], back = own * own * own * (rowFold<WIDTH, Sum>(sum) / n);
    for (int i = row.lane; i < n; i += WIDTH) dx[i] = own * (w[i] * dy[i]) - x[i] * back;
}

KERNEL(256, rms_norm_f32, (const float* x, const float* w, float* y, float* r, i64 rows, int n, float eps)) { norm<BLOCK>(x, w, y, r, rows, n, eps); }
KERNEL(256, rms_norm_short_f32, (const float* x, const float* w, float* y, float* r, i64 rows, int n, float eps)) { norm<WARP>(x, w, y, r, rows, n, eps); }
KERNEL(256, rms_norm_grad_f32, (const float* x, const float* w, const float* r, const float* dy, float* dx, i64 rows, int n)) { grad<BLOCK>(x, w, r, dy, dx, rows, n); }
KERNEL(256, rms_norm_grad_short_f32, (const float* x, const float* w, const float* r, const float* dy, float* dx, i64 rows, int n)) { grad<WARP>(x, w, r, dy, dx, rows, n); }
