package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Layer;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.AdapterFormat;
import dev.graft.peft.Attach;
import dev.graft.peft.Graft;
import dev.graft.peft.Targets;
import dev.graft.peft.train.Step;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/// S3Delta, sparse structure search (Hu et al. 2022, arXiv:2206.07382): which of many small modules are worth their numbers is found by gradients.
///
/// ```
/// linear layers:   h = W x + b + z₁ B A x + z₂ β           A: [r, in], B: [out, r], β: [out]
/// the last of attention and MLP:  y = h + z₃ U gelu(D h)   D: [r, C], U: [C, r]; elsewhere y = h
/// norms:           y = (1 + z₁ w) ⊙ norm(x)                w: [C]
/// z = σ(α) out of training, and there a binary concrete number: σ((α + ln u − ln(1 − u)) / τ), u uniform in (0, 1)
/// α ← α + λ after each step, λ such that Σ σ(αᵢ) nᵢ = budget · Σ nᵢ               nᵢ: numbers of module i
/// ```
/// Each α is structure, which in bi-level training has examples of its own. Once it is trained, a folder's `chosen` has the modules of highest σ(α) that the budget has room for; with these as
/// `architecture` there are no others, each as a whole (z = 1), to be trained from the start.
///
/// Trained while searching: `r (in + out) + out + 2` per linear layer, `2 r C + 1` more at the last of attention and MLP, `C + 1` per norm; then what is chosen. Starts neutral: B, β, U and w at 0, α at
/// ln(budget / (1 − budget)). Not merged.
///
/// @param r LoRA's rank, and the adapters' width
/// @param budget share of the numbers of all modules that is to be kept; the paper's is a share of the model's
/// @param temperature τ; 0 draws nothing, z being σ(α) in training, too
/// @param architecture the modules there are, such as `model.layers.0.self_attn.q_proj:lora`, `…:bias`, `model.layers.0.mlp.down_proj:adapter`, `model.norm:norm`; empty while searching
/// @param chosen what a search preferred, as `architecture` has it; not heeded
/// @param targets linear layers and norms
public record S3Delta(int r, double budget, double temperature, List<String> architecture, List<String> chosen, Targets targets)
        implements
            Adapter {
    /// About what the paper keeps of a large model, a seven-thousandth of all its numbers.
    public static final S3Delta DEFAULT = new S3Delta(1, 0.25, 1, List.of(), List.of(), Targets.DEFAULT);

    private static final List<String> LLAMA = List.of("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
            "input_layernorm", "post_attention_layernorm", "norm");
    private static final Map<String, List<String>> USUAL_TARGETS = Map.of("llama", LLAMA, "mistral", LLAMA, "granite", LLAMA,
            "bloom",
            List.of("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h", "input_layernorm", "post_attention_layernorm", "ln_f"),
            "gptj", List.of("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out", "ln_1", "ln_f"));

    /// What attention and MLP end with.
    private static final Set<String> LAST = Set.of("o_proj", "down_proj", "dense", "dense_4h_to_h", "out_proj", "fc_out");

    /// @param name `path:kind`
    /// @param size trained numbers
    private record Module(String name, long size) {
    }

    public S3Delta {
        Require.rank(r);
        if (!(budget > 0 && budget < 1)) throw new AdapterException("budget must be between 0 and 1, got " + budget);
        if (!(temperature >= 0 && Double.isFinite(temperature)))
            throw new AdapterException("temperature must be above 0, or 0 to draw nothing, got " + temperature);
    }

    /// What a layer may have.
    private List<Module> modules(Layer layer) {
        if (layer instanceof Linear linear) {
            Module lora = new Module(layer.path() + ":lora", (long) r * (linear.in() + linear.out())),
                    bias = new Module(layer.path() + ":bias", linear.out());
            if (!LAST.contains(layer.path().substring(layer.path().lastIndexOf('.') + 1))) return List.of(lora, bias);
            return List.of(lora, bias, new Module(layer.path() + ":adapter", 2L * r * linear.out()));
        }
        return List.of(new Module(layer.path() + ":norm", norm(layer)));
    }

    private static int norm(Layer layer) {
        return layer.parameters().filter(p -> p.name().equals(layer.path() + ".weight") && p.shape().rank() == 1).findFirst()
                .orElseThrow(() -> new AdapterException(
                        "S3_DELTA goes to linear layers and norms, and '%s' is neither; name other target_modules".formatted(layer.path())))
                .shape().dim(0);
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        List<UnaryOperator<Tensor>> gates = gates(base, at);
        if (gates.get(0) != null) {
            Parameter a = at.param("s3.lora_A.weight", Shape.of(r, base.in()), Init.kaimingUniform());
            Parameter b = at.param("s3.lora_B.weight", Shape.of(base.out(), r), Init.zeros());
            at.addsThrough(x -> gates.get(0).apply(x.matmulT(a.value())), b, 1);
        }
        if (gates.get(1) != null) {
            Parameter beta = at.param("s3.bias", Shape.of(base.out()), Init.zeros());
            at.adds(_ -> gates.get(1).apply(beta.value()));
        }
        if (gates.size() > 2 && gates.get(2) != null) {
            Parameter d = at.param("s3.down.weight", Shape.of(r, base.out()), Init.kaimingUniform());
            Parameter u = at.param("s3.up.weight", Shape.of(base.out(), r), Init.zeros());
            at.after(h -> h.add(gates.get(2).apply(h.matmulT(d.value()).gelu()).matmulT(u.value())));
        }
        at.cannotFold("gate stands between the model and what is added to it");
    }

    @Override
    public void onLayer(Layer base, Attach at) {
        UnaryOperator<Tensor> gate = gates(base, at).getFirst();
        if (gate != null) {
            Parameter w = at.param("s3.norm", Shape.of(norm(base)), Init.zeros());
            at.after(y -> y.mul(gate.apply(w.value()).add(1)));
        }
        at.cannotFold("gate stands between the model and what is added to it");
    }

    /// Multiplies each module the layer may have by its z; null for those that are not there.
    private List<UnaryOperator<Tensor>> gates(Layer layer, Attach at) {
        List<Module> modules = modules(layer);
        List<UnaryOperator<Tensor>> gates = new ArrayList<>();
        if (!architecture.isEmpty()) {
            requireKnown(at);
            for (Module m : modules) gates.add(architecture.contains(m.name) ? module -> module : null);
            return gates;
        }
        Parameter alpha = at.structure("s3.alpha", Shape.of(modules.size()), Init.constant(Math.log(budget / (1 - budget))));
        for (int i = 0; i < modules.size(); i++) {
            int number = i;
            gates.add(module -> module.mul(gate(alpha.value().slice(0, number, number + 1))));
        }
        return gates;
    }

    private void requireKnown(Attach at) {
        List<String> known = at.layers().stream().flatMap(l -> modules(l).stream()).map(Module::name).toList();
        for (String name : architecture)
            if (!known.contains(name))
                throw new AdapterException("architecture names '%s', which no target has; there are %s, …".formatted(name,
                        known.subList(0, Math.min(4, known.size()))));
    }

    private Tensor gate(Tensor alpha) {
        Tape tape = Tape.recording();
        if (temperature == 0 || tape == null || !tape.isTraining()) return alpha.sigmoid();
        Tensor u = Tensor.uniform(alpha.dtype(), alpha.shape(), tape.nextSeed()).mul(1 - 2e-6).add(1e-6);
        return alpha.add(u.log()).sub(u.neg().add(1).log()).mul(1 / temperature).sigmoid();
    }

    // ---- the budget ----

    private record Scored(Module module, double alpha) {
    }

    private List<Scored> scored(Graft graft) {
        List<Scored> all = new ArrayList<>();
        for (Layer layer : graft.layers()) {
            List<Module> modules = modules(layer);
            float[] alpha = graft.parameter(layer.path() + ".s3.alpha").value().toFloats();
            for (int i = 0; i < alpha.length; i++) all.add(new Scored(modules.get(i), alpha[i]));
        }
        return all;
    }

    /// Moves all α alike, so that as many numbers as the budget allows are expected to be kept.
    @Override
    public void afterStep(Graft graft, Step step) {
        if (!architecture.isEmpty()) return;
        double shift = shift(scored(graft));
        for (Layer layer : graft.layers()) {
            Tensor alpha = graft.parameter(layer.path() + ".s3.alpha").value();
            alpha.assign(alpha.add(shift));
        }
    }

    private double shift(List<Scored> all) {
        double wanted = budget * all.stream().mapToLong(s -> s.module.size).sum(), low = -60, high = 60;
        for (int i = 0; i < 100; i++) {
            double middle = (low + high) / 2;
            double expected = all.stream().mapToDouble(s -> s.module.size / (1 + Math.exp(-s.alpha - middle))).sum();
            if (expected < wanted) low = middle;
            else high = middle;
        }
        return (low + high) / 2;
    }

    /// With the modules that the search prefers by now, the best first, as many as the budget has room for.
    @Override
    public Adapter trained(Graft graft) {
        if (!architecture.isEmpty()) return this;
        List<Scored> all = new ArrayList<>(scored(graft));
        double room = budget * all.stream().mapToLong(s -> s.module.size).sum();
        all.sort(Comparator.comparingDouble(Scored::alpha).reversed());
        List<String> kept = new ArrayList<>();
        for (Scored s : all) {
            if (s.module.size > room) continue;
            room -= s.module.size;
            kept.add(s.module.name);
        }
        return with("chosen", kept);
    }

    /// The paper's, while searching.
    @Override
    public double structureLearningRate() {
        return architecture.isEmpty() ? 0.1 : Adapter.super.structureLearningRate();
    }

    @Override
    public Map<String, List<String>> usualTargets() {
        return USUAL_TARGETS;
    }

    @Override
    public String peftType() {
        return "S3_DELTA";
    }

    @Override
    public AdapterFormat format() {
        return AdapterFormat.GRAFT;
    }
}
