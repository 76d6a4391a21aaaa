package dev.graft.tensor.reference;

import dev.graft.tensor.Shape;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Affine;
import dev.graft.tensor.op.Binary;
import dev.graft.tensor.op.Cast;
import dev.graft.tensor.op.Cat;
import dev.graft.tensor.op.Copy;
import dev.graft.tensor.op.Fill;
import dev.graft.tensor.op.Gather;
import dev.graft.tensor.op.MatMul;
import dev.graft.tensor.op.Primitive;
import dev.graft.tensor.op.Random;
import dev.graft.tensor.op.Range;
import dev.graft.tensor.op.Reduce;
import dev.graft.tensor.op.ScatterAdd;
import dev.graft.tensor.op.Unary;
import dev.graft.tensor.op.UnaryGrad;
import dev.graft.tensor.op.Where;
import java.util.List;
import java.util.function.LongToDoubleFunction;

/// The primitives as plain loops over doubles, for any type and any strides.
public final class Loops {
    private Loops() {
    }

    public static void run(Primitive op, List<View> in, View out) {
        switch (op) {
            case Unary f -> {
                Elements x = Elements.of(in.getFirst());
                each(out, i -> f.value(x.get(i)));
            }
            case UnaryGrad(Unary f) -> {
                Elements x = Elements.of(in.get(0));
                Elements dy = Elements.of(in.get(1));
                each(out, i -> dy.get(i) * f.derivative(x.get(i), f.value(x.get(i))));
            }
            case Binary f -> {
                Elements a = Elements.of(in.get(0).expand(out.shape()));
                Elements b = Elements.of(in.get(1).expand(out.shape()));
                each(out, i -> f.value(a.get(i), b.get(i)));
            }
            case Affine(double scale, double shift) -> {
                Elements x = Elements.of(in.getFirst());
                each(out, i -> scale * x.get(i) + shift);
            }
            case Where() -> {
                Elements condition = Elements.of(in.get(0).expand(out.shape()));
                Elements a = Elements.of(in.get(1).expand(out.shape()));
                Elements b = Elements.of(in.get(2).expand(out.shape()));
                each(out, i -> condition.get(i) != 0 ? a.get(i) : b.get(i));
            }
            case Cast _,Copy _ -> {
                Elements x = Elements.of(in.getFirst());
                each(out, x::get);
            }
            case Fill f -> each(out, _ -> f.value());
            case Range r -> each(out, i -> r.start() + i * r.step());
            case Random r -> each(out, r::value);
            case Reduce r -> reduce(r, in.getFirst(), out);
            case MatMul m -> matmul(m, in.get(0), in.get(1), out);
            case Gather _ -> gather(in.get(0), in.get(1), out);
            case ScatterAdd _ -> scatterAdd(in.get(0), in.get(1), out);
            case Cat c -> cat(c, in, out);
        }
    }

    private static void each(View out, LongToDoubleFunction value) {
        Elements y = Elements.of(out);
        for (long i = 0, n = out.size(); i < n; i++) y.set(i, value.applyAsDouble(i));
    }

    private static void reduce(Reduce op, View in, View out) {
        Elements x = Elements.of(in);
        Elements y = Elements.of(out);
        long n = in.dim(op.axis());
        long inner = in.shape().range(op.axis() + 1, in.rank()).size();
        for (long i = 0; i < out.size(); i++) {
            long start = i / inner * n * inner + i % inner;
            double sum = 0;
            long best = 0;
            for (long k = 0; k < n; k++) {
                double v = x.get(start + k * inner);
                sum += v;
                if (v > x.get(start + best * inner) || Double.isNaN(v) && !Double.isNaN(x.get(start + best * inner))) best = k;
            }
            y.set(i, switch (op.law()) {
                case SUM -> sum;
                case MAX -> x.get(start + best * inner);
                case ARGMAX -> best;
            });
        }
    }

    private static void matmul(MatMul op, View a, View b, View out) {
        if (op.transposeA()) a = swapLast(a);
        if (op.transposeB()) b = swapLast(b);
        int m = a.dim(-2);
        int k = a.dim(-1);
        int n = b.dim(-1);
        Shape batch = out.shape().range(0, out.rank() - 2);
        Elements x = Elements.of(a.expand(batch.concat(Shape.of(m, k))));
        Elements w = Elements.of(b.expand(batch.concat(Shape.of(k, n))));
        Elements y = Elements.of(out);
        for (long s = 0; s < batch.size(); s++) {
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < n; j++) {
                    double sum = 0;
                    for (int l = 0; l < k; l++) sum += x.get((s * m + i) * k + l) * w.get((s * k + l) * n + j);
                    y.set((s * m + i) * n + j, sum);
                }
            }
        }
    }

    private static View swapLast(View v) {
        int[] axes = new int[v.rank()];
        for (int i = 0; i < axes.length; i++) axes[i] = i;
        axes[axes.length - 1] = axes.length - 2;
        axes[axes.length - 2] = axes.length - 1;
        return v.permute(axes);
    }

    private static void gather(View table, View index, View out) {
        Elements t = Elements.of(table);
        Elements at = Elements.of(index);
        Elements y = Elements.of(out);
        long row = table.shape().range(1, table.rank()).size();
        for (long i = 0; i < index.size(); i++) {
            long from = row((long) at.get(i), table.dim(0), "gather");
            for (long j = 0; j < row; j++) y.set(i * row + j, t.get(from * row + j));
        }
    }

    private static void scatterAdd(View index, View in, View out) {
        Elements at = Elements.of(index);
        Elements x = Elements.of(in);
        Elements y = Elements.of(out);
        long row = out.shape().range(1, out.rank()).size();
        for (long j = 0; j < out.size(); j++) y.set(j, 0);
        for (long i = 0; i < index.size(); i++) {
            long to = row((long) at.get(i), out.dim(0), "scatter_add");
            for (long j = 0; j < row; j++) y.set(to * row + j, y.get(to * row + j) + x.get(i * row + j));
        }
    }

    private static long row(long index, int rows, String op) {
        if (index < 0 || index >= rows) throw new TensorException("[%s] index %d is outside 0 … %d".formatted(op, index, rows - 1));
        return index;
    }

    private static void cat(Cat op, List<View> in, View out) {
        int axis = out.shape().axis(op.axis());
        int from = 0;
        for (View part : in) {
            Elements x = Elements.of(part);
            each(out.slice(axis, from, from + part.dim(axis)), x::get);
            from += part.dim(axis);
        }
    }
}
