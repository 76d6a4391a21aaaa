package dev.graft.peft.method;

import dev.graft.nn.Layer;
import dev.graft.nn.Linear;
import dev.graft.peft.AdapterException;
import dev.graft.peft.Attach;

/// The attention and the MLP of a block, as wholes.
final class Sublayers {
    private Sublayers() {
    }

    /// The width C of what a sublayer or a whole block gives: that of the linear layer it ends with, which writes to the residual stream.
    static int width(Layer sublayer, Attach at) {
        return sublayer.modules(Linear.class).reduce((_, last) -> last).map(Linear::out).orElseThrow(() -> new AdapterException(
                "'%s' is no linear layer and has none, so it gives nothing to read or change; name attentions, MLPs or blocks in target_modules"
                        .formatted(at.path())));
    }
}
