package dev.graft.peft.method;

import dev.graft.models.KeysValues;
import dev.graft.models.ModelConfig;
import dev.graft.models.SelfAttention;
import dev.graft.nn.Init;
import dev.graft.nn.Layer;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.Attach;
import dev.graft.peft.Placements;
import dev.graft.peft.Stated;
import dev.graft.peft.Targets;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Attention;
import java.util.List;
import java.util.Map;

/// LLaMA-Adapter (Zhang et al. 2024, arXiv:2303.16199): prompts of their own in the last layers, which queries read beside the text and through a gate.
///
/// ```
/// y = o_proj(softmax(q kᵀ/√D) v + g · softmax(q (k_proj P)ᵀ/√D) (v_proj P))          q as it meets k, so rotated; k_proj P is not
/// P: [n, C], g: [1]
/// ```
/// Trained: `n C + 1` per layer. Starts neutral: g = 0. Not merged: P has a softmax of its own. Where `o_proj` has a bias it acts once, so that the start is
/// neutral there too; PEFT adds it again.
///
/// @param adapterLen n
/// @param adapterLayers how many layers, counted from the last; null for thirty, as in the paper, or all where there are fewer
/// @param targetModules what attention is called in a block, or null
public record AdaptionPrompt(@Stated int adapterLen, Integer adapterLayers, String targetModules) implements Adapter {
    /// The paper's numbers; PEFT has none.
    public static final AdaptionPrompt DEFAULT = new AdaptionPrompt(10, null, null);

    private static final int USUAL_LAYERS = 30;

    public AdaptionPrompt {
        if (adapterLen < 1) throw new AdapterException("adapter_len must be at least 1, got " + adapterLen);
        if (adapterLayers != null && adapterLayers < 1)
            throw new AdapterException("adapter_layers must be at least 1, got " + adapterLayers);
    }

    @Override
    public void onLayer(Layer base, Attach at) {
        if (!(base instanceof SelfAttention attention)) {
            Adapter.super.onLayer(base, at);
            return;
        }
        int width = attention.parameters().findFirst().orElseThrow().shape().dim(1);
        Parameter prompt = at.param("adaption_prompt", Shape.of(1, adapterLen, width), Init.normal(1));
        Parameter gate = at.param("adaption_gate", Shape.of(1), Init.zeros());
        at.addsToReading(q -> {
            KeysValues kv = attention.keysValues(prompt.value());                                  // [1, n, K, D]
            Tensor read = Attention.of(q, forAll(kv.keys(), q), forAll(kv.values(), q), 1 / Math.sqrt(q.dim(3)), false, null, null);
            return read.mul(gate.value());
        });
    }

    private static Tensor forAll(Tensor one, Tensor q) {
        return one.expand(one.shape().with(0, q.dim(0)));
    }

    @Override
    public List<Layer> among(List<Layer> named) {
        return adapterLayers == null ? named : named.subList(Math.max(0, named.size() - adapterLayers), named.size());
    }

    @Override
    public Adapter fitted(ModelConfig model) {
        if (adapterLayers != null && adapterLayers > model.layers())
            throw new AdapterException("adapter_layers is %d, and the model has %d".formatted(adapterLayers, model.layers()));
        String name = targetModules != null ? targetModules : defaultTargets(model.modelType()).getFirst();
        return new AdaptionPrompt(adapterLen, adapterLayers != null ? adapterLayers : Math.min(USUAL_LAYERS, model.layers()), name);
    }

    @Override
    public Map<String, List<String>> usualTargets() {
        return Placements.sublayers(Targets.Place.ATTENTION);
    }

    @Override
    public Targets targets() {
        return targetModules == null ? Targets.NONE : Targets.of(targetModules);
    }
}
