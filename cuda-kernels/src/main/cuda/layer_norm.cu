// Layer normalisation and its gradient. Meaning: LayerNorm.java, LayerNormGrad.java.
//
//   layer_norm:       y = w (x - mean) r + b                r = 1 / sqrt(mean((x - mean)^2) + eps)
//   layer_norm_grad:  dx = r (h - mean h - c mean(h c))     h = w dy, c = (x - mean) r
//
// x, y, dy, dx: [rows, n], w, b: [n], mean, r: [rows]. A block for each row, or a warp where rows are short. 8 bytes an element (12 for the gradient) and twice as many from the cache. Versions: _short for rows up to 1024.
#include "rows.cuh"

template <int WIDTH> DEVICE void norm(const float* x, const float* w, const float* b, float* y, float* mean, float* r, i64 rows, int n, float eps) {
    Row<WIDTH> row;
    if (row.number >= rows) return;
    x += row.number * n;
    y += row.number * n;
    float sum = 0, squares = 0;
    for (int i = row.lane; i < n; i += WIDTH) sum += x[i];
    float mu = rowFold<WIDTH, Sum>(sum) / n;
    for (int i = row.lane; i < n; i += WIDTH) squares = fmaf(x[i] - mu, x[i] - mu, squares);
    float own = 1 / sqrtf(rowFold<WIDTH, Sum>(squares) / n + eps);
    for (int i = row.lane; i < n; i += WIDTH) y[i] = fmaf((x[i] - mu) * own, w[i], b[i]);
    if (row.lane == 0) {
        mean[row.number] = mu;
        r[row.number] = own;
    }
}

template <int WIDTH> DEVICE void grad(const float* x, const float* w, const float* mean, const float* r, const float* dy, float* dx, i64 rows, int n) {
    Row<WIDTH> row;
    if (row.number >= rows) return;
    x += row.number * n;
    dy += row.number * n;
    dx += row.number * n;
    float mu = mean[row.number], own = r[row.number], sum = 0, product = 0;
    for (int i = row.lane; i < n; i += WIDTH) {
        float h = w[i] * dy[i];
        sum += h;
        product = fmaf(h, (x[i] - mu) * own, product);
    }
    float meanOfH = rowFold<WIDTH, Sum>(sum) / n, meanOfProduct = rowFold<WIDTH, Sum>(product) / n;
    for (int i = row.lane; i < n; i += WIDTH) dx[i] = own * (w[i] * dy[i] - meanOfH - (x[i] - mu) * own * meanOfProduct);
}

KERNEL(256, layer_norm_f32, (const float* x, const float* w, const float* b, float* y, float* mean, float* r, i64 rows, int n, float eps)) {
    norm<BLOCK>(x, w, b, y, mean, r, rows, n, eps);
}
KERNEL(256, layer_norm_short_f32, (const float* x, const float* w, const float* b, float* y, float* mean, float* r, i64 rows, int n, float eps)) {
    norm<WARP>(x, w, b, y, mean, r, rows, n, eps);
}
KERNEL(256, layer_norm_grad_f32, (const float* x, const float* w, const float* mean, const float* r, const float* dy, float* dx, i64 rows, int n)) {
    grad<BLOCK>(x, w, mean, r, dy, dx, rows, n);
}
KERNEL(256, layer_norm_grad_short_f32, (const float* x, const float* w, const float* mean, const float* r, const float* dy, float* dx, i64 rows, int n)) {
    grad<WARP>(x, w, mean, r, dy, dx, rows, n);
}
