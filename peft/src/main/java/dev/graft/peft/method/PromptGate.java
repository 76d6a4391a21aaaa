package dev.graft.peft.method;

import dev.graft.models.Pass;
import dev.graft.nn.Init;
import dev.graft.nn.Parameter;
import dev.graft.peft.Attach;
import dev.graft.peft.AttachModel;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;

/// How much a place gets of something, by the prompt (Mao et al. 2022, arXiv:2110.07577).
///
/// ```
/// g = mean over the tokens of the prompt of σ(w x + c)         w: [1, C], c: [1]; one g for each row
/// ```
/// The paper's mean is over all tokens of a text, which is read at once; in a decoder no token may know of later ones, and the prompt is what all that is generated comes after. So the
/// gate is made when a prompt is read and stays with its cache. 0 in a row without a prompt; of a row that is not said to have an answer all tokens count. w starts normal with deviation 0.02, c at 0.
record PromptGate(Parameter w, Parameter c) {
    private static final Init START = Init.normal(0.02);

    static PromptGate at(Attach at, int width) {
        return new PromptGate(at.param("gate.weight", Shape.of(1, width), START), at.param("gate.bias", Shape.of(1), Init.zeros()));
    }

    /// For something that is at no layer.
    static PromptGate named(String name, AttachModel at, int width) {
        return new PromptGate(at.param(name + ".weight", Shape.of(1, width), START), at.param(name + ".bias", Shape.of(1), Init.zeros()));
    }

    /// `[B, T, C] → [B, 1, 1]`
    Tensor of(Tensor x) {
        Pass pass = Pass.current();
        return pass.ofPrompts(this, () -> {
            Tensor prompted = pass.prompted().to(x.dtype());                                          // [B, T, 1]
            Tensor open = x.matmulT(w.value()).add(c.value()).sigmoid();
            return open.mul(prompted).sum(1).div(prompted.sum(1).max(Tensor.scalar(x.dtype(), 1)));
        });
    }
}
