package dev.graft.nn;

import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;

/// How a parameter starts: F32 values from a shape and a seed.
@FunctionalInterface
public interface Init {
    Tensor values(Shape shape, long seed);

    static Init zeros() {
        return constant(0);
    }

    static Init ones() {
        return constant(1);
    }

    static Init constant(double value) {
        return (shape, _) -> Tensor.full(new Spec(shape, DType.F32), value);
    }

    /// `N(0, std²)`.
    static Init normal(double std) {
        return (shape, seed) -> Tensor.randn(DType.F32, shape, seed).mul(std);
    }

    /// Uniform in `±bound`.
    static Init uniform(double bound) {
        return (shape, seed) -> Tensor.uniform(DType.F32, shape, seed).mul(2 * bound).sub(bound);
    }

    /// `nn.Linear`'s start, uniform in `±1/√fan_in` (He et al. 2015 with a = √5); `fan_in` is the last size.
    static Init kaimingUniform() {
        return (shape, seed) -> uniform(1 / Math.sqrt(shape.dim(-1))).values(shape, seed);
    }
}
