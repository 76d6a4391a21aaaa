package dev.graft.peft.method;

import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Dropout;

/// Block-diagonal matrices.
final class Blocks {
    private Blocks() {
    }

    /// Rows of x `[…, k·m]` times `blockdiag(B₁ … B_k)`, blocks `[k, m, m]`; a single block serves for all.
    static Tensor times(Tensor x, Tensor blocks) {
        int m = blocks.dim(1);
        if (blocks.dim(0) == 1) return x.reshape(-1, m).matmul(blocks.squeeze(0)).reshape(x.shape());
        Tensor byBlock = x.reshape(-1, blocks.dim(0), m).transpose(0, 1);                 // [k, N, m]
        return byBlock.matmul(blocks).transpose(0, 1).reshape(x.shape());
    }

    /// Under training a share p of the blocks as I.
    static Tensor dropped(Tensor blocks, double p) {
        Tensor ones = Tensor.ones(Spec.of(blocks.dtype(), blocks.dim(0), 1, 1));
        Tensor kept = Dropout.of(ones, p);
        if (kept == ones) return blocks;
        Tensor identity = identity(blocks.dim(1), blocks);
        return blocks.sub(identity).mul(kept.mul(1 - p)).add(identity);
    }

    static Tensor identity(int n, Tensor like) {
        Tensor i = Tensor.range(like.dtype(), n);
        return i.unsqueeze(1).eq(i.unsqueeze(0)).to(like.dtype());
    }

    /// Skew-symmetric matrices by their upper halves.
    ///
    /// @param m size
    record Skew(int m) {
        /// `[k, m (m − 1)/2] → [k, m, m]`
        Tensor of(Tensor upper) {
            int half = m * (m - 1) / 2;
            int[] from = new int[m * m];                                                 // 0 for nothing, else an element of (upper, −upper) from 1 on
            for (int i = 0, e = 1; i < m; i++) {
                for (int j = i + 1; j < m; j++, e++) {
                    from[i * m + j] = e;
                    from[j * m + i] = e + half;
                }
            }
            Tensor nothing = Tensor.zeros(upper.spec().with(upper.shape().with(1, 1)));
            Tensor all = Tensor.cat(1, nothing, upper, upper.neg());                     // [k, 1 + m (m − 1)]
            return all.transpose(0, 1).gather(Tensor.of(from)).transpose(0, 1).reshape(-1, m, m);
        }
    }
}
