package dev.graft.peft.method;

import dev.graft.nn.Layer;
import dev.graft.nn.Linear;
import dev.graft.peft.AdapterException;
import dev.graft.peft.Attach;
import dev.graft.peft.Targets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// The attention and the MLP of a block, as wholes.
final class Sublayers {
    private static final Map<String, String> ATTENTION = Map.of("llama", "self_attn", "mistral", "self_attn", "bloom", "self_attention",
            "gptj",
            "attn");

    private Sublayers() {
    }

    /// Their names at a place, by `model_type`.
    static Map<String, List<String>> at(Targets.Place place) {
        Map<String, List<String>> names = new TreeMap<>();
        ATTENTION.forEach((type, attention) -> names.put(type, switch (place) {
            case ATTENTION -> List.of(attention);
            case MLP -> List.of("mlp");
            case BOTH -> List.of(attention, "mlp");
        }));
        return names;
    }

    /// The width C of what a sublayer or a whole block gives: that of the linear layer it ends with, which writes to the residual stream.
    static int width(Layer sublayer, Attach at) {
        return sublayer.modules(Linear.class).reduce((_, last) -> last).map(Linear::out).orElseThrow(() -> new AdapterException(
                "'%s' is no linear layer and has none, so it gives nothing to read or change; name attentions, MLPs or blocks in target_modules"
                        .formatted(at.path())));
    }
}
