// Cross-entropy of rows of logits with their targets, and its gradient. Meaning: CrossEntropy.java, CrossEntropyGrad.java.
//
//   cross_entropy:       loss = lse - x[target]              lse = ln sum e^x          0 where target = ignore
//   cross_entropy_grad:  dx = (e^(x - lse) - [v = target]) dy                          0 where target = ignore
//
// x, dx: [rows, n], target, loss, lse, dy: [rows]. A block for each row; the logits are read once, online, for the loss, and read and written once for the gradient.
#include "fault.cuh"
#include "rows.cuh"

DEVICE bool counts(i64 target, int ignore, int n, Fault* fault) {
    if (target == ignore) return false;
    if (target >= 0 && target < n) return true;
    report(fault, CROSS_ENTROPY_TARGET, target, n - 1, ignore);
    return false;
}

KERNEL(256, cross_entropy_f32, (const float* x, const char* targets, int isLong, float* loss, float* lse, int n, int ignore, Fault* fault)) {
    i64 row = blockIdx.x;
    x += row * n;
    LogSum s = rowLogSum<BLOCK>(x, n, threadIdx.x);
    if (threadIdx.x != 0) return;
    i64 target = indexAt(targets, isLong, row);
    float own = s.max + logf(s.sum);
    lse[row] = own;
    loss[row] = counts(target, ignore, n, fault) ? own - x[target] : 0;
}

KERNEL(256, cross_entropy_grad_f32, (const float* x, const char* targets, int isLong, const float* lse, const float* dy, float* dx, int n, int ignore, Fault* fault)) {
    i64 row = blockIdx.x, target = indexAt(targets, isLong, row);
    x += row * n;
    dx += row * n;
    bool isCounted = target != ignore && target >= 0 && target < n;
    if (threadIdx.x == 0) counts(target, ignore, n, fault);
    float own = lse[row], d = isCounted ? dy[row] : 0;
    for (int i = threadIdx.x; i < n; i += BLOCK) dx[i] = (expf(x[i] - own) - (i == target ? 1 : 0)) * d;
}
