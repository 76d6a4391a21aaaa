package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.DType;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleBinaryOperator;

/// Functions of two numbers, element by element, with broadcasting. Comparisons give 1 or 0 in the inputs' type.
public enum Binary implements Primitive {
    ADD((a, b) -> a + b),
    SUB((a, b) -> a - b),
    MUL((a, b) -> a * b),
    DIV((a, b) -> a / b),
    MAX(Math::max),
    MIN(Math::min),
    LT((a, b) -> a < b ? 1 : 0),
    LE((a, b) -> a <= b ? 1 : 0),
    EQ((a, b) -> a == b ? 1 : 0);

    private final DoubleBinaryOperator value;

    Binary(DoubleBinaryOperator value) {
        this.value = value;
    }

    public double value(double a, double b) {
        return value.applyAsDouble(a, b);
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        DType a = in.get(0).dtype();
        DType b = in.get(1).dtype();
        if (a != b) throw new ShapeException("both sides must have one type, got " + a + " and " + b + "; convert one with to(dtype)");
        return List.of(new Spec(in.get(0).shape().broadcast(in.get(1).shape()), a));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return switch (this) {
            case ADD, SUB, LT, LE, EQ -> Keep.NOTHING;
            case MUL -> Keep.NOTHING.with(0, wanted.input(1)).with(1, wanted.input(0));
            case DIV -> Keep.inputs(1).with(0, wanted.input(1));
            case MAX, MIN -> Keep.inputs(0, 1);
        };
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        switch (this) {
            case ADD -> {
                g.of(0, () -> fit(dy, c, 0));
                g.of(1, () -> fit(dy, c, 1));
            }
            case SUB -> {
                g.of(0, () -> fit(dy, c, 0));
                g.of(1, () -> fit(dy.neg(), c, 1));
            }
            case MUL -> {
                g.of(0, () -> fit(dy.mul(c.in(1)), c, 0));
                g.of(1, () -> fit(dy.mul(c.in(0)), c, 1));
            }
            case DIV -> {
                g.of(0, () -> fit(dy.div(c.in(1)), c, 0));
                g.of(1, () -> fit(dy.mul(c.in(0)).div(c.in(1).square()).neg(), c, 1));
            }
            case MAX -> {                                                   // ties go to the left side
                g.of(0, () -> fit(dy.mul(c.in(1).le(c.in(0))), c, 0));
                g.of(1, () -> fit(dy.mul(c.in(0).lt(c.in(1))), c, 1));
            }
            case MIN -> {
                g.of(0, () -> fit(dy.mul(c.in(0).le(c.in(1))), c, 0));
                g.of(1, () -> fit(dy.mul(c.in(1).lt(c.in(0))), c, 1));
            }
            case LT, LE, EQ -> g.none(0, 1);
        }
    }

    private static Tensor fit(Tensor gradient, Call c, int input) {
        return Reduce.toShape(gradient, c.inSpec(input).shape());
    }
}
