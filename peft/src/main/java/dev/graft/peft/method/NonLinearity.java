package dev.graft.peft.method;

import dev.graft.peft.AdapterException;
import dev.graft.tensor.Tensor;
import java.util.Arrays;
import java.util.function.UnaryOperator;

/// What stands between the two matrices of a bottleneck, by the names of the Transformers library.
enum NonLinearity {
    RELU("relu", Tensor::relu),
    GELU("gelu", Tensor::gelu),
    GELU_PYTHON("gelu_python", Tensor::gelu),
    GELU_NEW("gelu_new", Tensor::geluTanh),
    GELU_FAST("gelu_fast", Tensor::geluTanh),
    /// `x · σ(1.702 x)`.
    QUICK_GELU("quick_gelu", x -> x.mul(x.mul(1.702).sigmoid())),
    /// `gelu(x)`, held between −10 and 10.
    GELU_10("gelu_10", x -> clamp(x.gelu(), -10, 10)),
    SILU("silu", Tensor::silu),
    SWISH("swish", Tensor::silu),
    SIGMOID("sigmoid", Tensor::sigmoid),
    TANH("tanh", Tensor::tanh),
    /// `x · tanh(ln(1 + eˣ))` (Misra 2019, arXiv:1908.08681).
    MISH("mish", x -> x.mul(x.softplus().tanh())),
    /// `relu(x)`, at most 6.
    RELU6("relu6", x -> clamp(x, 0, 6)),
    LINEAR("linear", x -> x),
    IDENTITY("identity", x -> x);

    private final String word;
    private final UnaryOperator<Tensor> function;

    NonLinearity(String word, UnaryOperator<Tensor> function) {
        this.word = word;
        this.function = function;
    }

    static NonLinearity named(String word) {
        return Arrays.stream(values()).filter(f -> f.word.equals(word)).findFirst().orElseThrow(() -> new AdapterException(
                "non_linearity '%s' is not known; known are %s".formatted(word, Arrays.stream(values()).map(f -> f.word).toList())));
    }

    Tensor of(Tensor x) {
        return function.apply(x);
    }

    private static Tensor clamp(Tensor x, double low, double high) {
        return x.max(Tensor.scalar(x.dtype(), low)).min(Tensor.scalar(x.dtype(), high));
    }
}
