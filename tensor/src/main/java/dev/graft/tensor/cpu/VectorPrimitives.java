package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
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

/// The arithmetic primitives that have vector loops: those on F32. Loaded only where there are vectors.
final class VectorPrimitives {
    private VectorPrimitives() {
    }

    /// Runs the op if it can.
    static boolean run(Primitive op, List<View> in, View out) {
        return switch (op) {
            case Unary f -> out.dtype() == DType.F32 && unary(f, in.getFirst(), out);
            case UnaryGrad(Unary f) -> out.dtype() == DType.F32 && gradient(f, in.get(0), in.get(1), out);
            case Binary f when out.dtype() == DType.F32 -> {
                Elementwise.binary(Functions.value(f), in.get(0), in.get(1), out);
                yield true;
            }
            case Affine a when out.dtype() == DType.F32 -> {
                Elementwise.affine(a, in.getFirst(), out);
                yield true;
            }
            case Where _ when out.dtype() == DType.F32 && isWord(in.getFirst().dtype()) -> {
                Elementwise.where(in.get(0), in.get(1), in.get(2), out);
                yield true;
            }
            case Reduce r when in.getFirst().dtype() == DType.F32 -> {
                ReduceKernel.run(r, in.getFirst(), out);
                yield true;
            }
            case ScatterAdd _ when out.dtype() == DType.F32 -> {
                ScatterAddKernel.run(in.get(0), in.get(1), out);
                yield true;
            }
            case Binary _,Affine _,Where _,Reduce _,ScatterAdd _ -> false;
            case MatMul _,Copy _,Cat _,Cast _,Gather _,Fill _,Random _,Range _ -> false;
        };
    }

    private static boolean isWord(DType type) {
        return type == DType.F32 || type == DType.I32;
    }

    private static boolean unary(Unary f, View x, View out) {
        VectorLoop.Unary loop = Functions.value(f);
        if (loop != null) Elementwise.unary(loop, x, out);
        return loop != null;
    }

    private static boolean gradient(Unary f, View x, View dy, View out) {
        VectorLoop.Binary loop = x.dtype() == DType.F32 ? Functions.gradient(f) : null;
        if (loop != null) Elementwise.binary(loop, x, dy, out);
        return loop != null;
    }
}
