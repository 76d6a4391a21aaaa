package dev.graft.tensor.op;

/// The closed core: what every backend runs, in one exhaustive `switch`. One output each.
public sealed interface Primitive extends Op
        permits Unary, UnaryGrad, Binary, Affine, Reduce, MatMul, Where, Gather, ScatterAdd, Cat, Cast, Copy, Fill, Range, Random {
}
