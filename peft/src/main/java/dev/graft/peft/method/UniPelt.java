package dev.graft.peft.method;

import dev.graft.models.CausalLm;
import dev.graft.models.Conversation.Turns;
import dev.graft.models.KeysValues;
import dev.graft.models.ModelConfig;
import dev.graft.models.VirtualTokens;
import dev.graft.nn.Init;
import dev.graft.nn.Layer;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterFormat;
import dev.graft.peft.Attach;
import dev.graft.peft.AttachModel;
import dev.graft.peft.Placements;
import dev.graft.peft.Targets;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Dropout;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// UniPELT (Mao et al. 2022, arXiv:2110.07577): a prefix, LoRA and bottlenecks, trained together, each as strong as its gate lets it be for a prompt.
///
/// ```
/// attention:           keys and values of n virtual tokens, both times g, before those of the text              [PrefixTuning]
/// linear layers:       y = W x + b + g · B A drop(x)            A: [r, in], B: [out, r]                           [Lora], with g for α/r
/// sublayers, blocks:   y = o + g · drop(U σ(D o + d) + u)     o = layer(x); D: [m, C], U: [C, m], m = C/reduction_factor     [HubBottleneck]
/// g:                   of each place its own, from what it reads: the attention's input, x, o                    [PromptGate]
/// ```
/// Trained: `r (in + out) + in + 1` per linear layer, `2 m C + m + C + C + 1` per sublayer or block, and in all a prefix and `L (C + 1)`. Not neutral at the start, since attention
/// spends some of its weight on the prefix. Not merged. A folder holds `prompt_embeddings` as PEFT's prefix has it, `prefix_gate.<layer>.weight` and `.bias`, and
/// per place `lora_A` and `lora_B` or `adapter_down` and `adapter_up`, and `gate`; the network that makes the prefix is not saved.
///
/// @param prefixProjection whether a network makes the prefix
/// @param encoderHiddenSize width of that network, or null for that of keys
/// @param r LoRA's rank
/// @param reductionFactor how many times narrower than the layer a bottleneck is
/// @param nonLinearity σ, by its name in the Transformers library
/// @param dropout share of the elements of LoRA's input, and of what bottlenecks give, that training leaves out
/// @param targets where LoRA (linear layers) and bottlenecks (sublayers, blocks) go; the prefix goes to all layers
public record UniPelt(PromptShape prompt, boolean prefixProjection, Integer encoderHiddenSize, int r, double reductionFactor,
        String nonLinearity, double dropout, Targets targets) implements Adapter {

    /// AdapterHub's `unipelt`, but for the place of its bottlenecks, which there read the sum behind the MLP: ten tokens by way of 512, rank 8 on queries and values, bottlenecks of a
    /// sixteenth of the width.
    public static final UniPelt DEFAULT = new UniPelt(PromptShape.of(10), true, 512, 8, 16, "relu", 0, Targets.DEFAULT);

    public UniPelt {
        new PrefixTuning(prompt, prefixProjection, encoderHiddenSize, null, false);
        Require.rank(r);
        bottleneck(reductionFactor, nonLinearity, dropout, targets);
    }

    private PrefixTuning prefix() {
        return new PrefixTuning(prompt, prefixProjection, encoderHiddenSize, null, false);
    }

    private static HubBottleneck bottleneck(double reduction, String sigma, double dropout, Targets targets) {
        return new HubBottleneck(reduction, 0, sigma, false, dropout, Scaling.by(1), false, false, false, "bert", targets);
    }

    @Override
    public void onModel(CausalLm model, AttachModel at) {
        ModelConfig c = model.config();
        PrefixTuning.Prefix prefix = prefix().prefix(model, at);
        List<PromptGate> gates = IntStream.range(0, c.layers()).mapToObj(l -> PromptGate.named("prefix_gate." + l, at, c.hidden()))
                .toList();
        at.virtualTokens(new Gated(prefix, gates));
    }

    private record Gated(PrefixTuning.Prefix prefix, List<PromptGate> gates) implements VirtualTokens.Prefix {
        @Override
        public int count() {
            return prefix.count();
        }

        @Override
        public KeysValues of(int layer, Tensor x) {
            KeysValues p = prefix.of(layer, x);
            Tensor g = gates.get(layer).of(x).unsqueeze(3);                                            // [B, 1, 1, 1]
            return new KeysValues(p.keys().mul(g), p.values().mul(g));
        }
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        Parameter a = at.param("lora_A.weight", Shape.of(r, base.in()), Init.kaimingUniform());
        Parameter b = at.param("lora_B.weight", Shape.of(base.out(), r), Init.zeros());
        PromptGate gate = PromptGate.at(at, base.in());
        at.addsThrough(x -> Dropout.of(x, dropout).matmulT(a.value()).mul(gate.of(x)), b, 1);
        at.cannotFold("its gates depend on the prompt, and weights know none");
    }

    @Override
    public void onLayer(Layer base, Attach at) {
        int width = Sublayers.width(base, at);
        UnaryOperator<Tensor> f = bottleneck(reductionFactor, nonLinearity, dropout, targets).branch(width, width, at);
        PromptGate gate = PromptGate.at(at, width);
        at.after(o -> o.add(f.apply(o).mul(gate.of(o))));
        at.cannotFold("its gates depend on the prompt, and weights know none");
    }

    @Override
    public Adapter fitted(ModelConfig model) {
        PrefixTuning fitted = (PrefixTuning) prefix().fitted(model);
        return new UniPelt(fitted.prompt(), prefixProjection, fitted.encoderHiddenSize(), r, reductionFactor, nonLinearity, dropout,
                targets);
    }

    /// LoRA on queries and values, a bottleneck after the MLP.
    @Override
    public Map<String, List<String>> usualTargets() {
        return targetsAt(Targets.Place.BOTH);
    }

    @Override
    public Map<String, List<String>> targetsAt(Targets.Place place) {
        Map<String, List<String>> lora = Placements.queryAndValue(), mlp = Placements.sublayers(Targets.Place.MLP), both = new TreeMap<>();
        lora.forEach((type, names) -> both.put(type, Stream.concat(names.stream(), mlp.get(type).stream()).toList()));
        return switch (place) {
            case ATTENTION -> lora;
            case MLP -> mlp;
            case BOTH -> both;
        };
    }

    @Override
    public int promptTokens() {
        return Integer.MAX_VALUE;
    }

    /// As training has it: all that is not answered for is the prompt.
    @Override
    public Turns turns() {
        return Turns.REPREFILL;
    }

    @Override
    public boolean looksAhead() {
        return true;
    }

    @Override
    public AdapterFormat format() {
        return AdapterFormat.GRAFT;
    }
}
