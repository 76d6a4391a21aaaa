package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Parameter;
import dev.graft.peft.Attach;
import dev.graft.peft.Graft;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/// What matters least in an [AdaLora], and its removal.
///
/// ```
/// I = |p ∘ ∂loss/∂p|      Ī ← β₁ Ī + (1 − β₁) I      Ū ← β₂ Ū + (1 − β₂) |I − Ī|      for each element p of A, E and B, after each step
/// score(i) = (Ī Ū)(E_i) + mean of (Ī Ū)(A_i,:) + mean of (Ī Ū)(B_:,i)                   for each triplet i
/// E_i ← 0 where score(i) is not above the k-th smallest score of all layers, k = all − budget
/// ```
/// Triplets of equal score go together, so fewer than the budget may be left.
///
/// @param places paths of the adapted layers
record RankBudget(Graft graft, List<String> places, double beta1, double beta2) {
    private static final List<String> FACTORS = List.of("lora_A", "lora_E", "lora_B");

    RankBudget(Graft graft, double beta1, double beta2) {
        this(graft, graft.places(), beta1, beta2);
    }

    /// What a place needs for it: Ī, Ū, which triplets are left, and a file that holds those alone.
    static void attach(Attach at, Parameter a, Parameter e, Parameter b) {
        for (Parameter p : List.of(a, e, b)) {
            String factor = p == a ? "lora_A" : p == e ? "lora_E" : "lora_B";
            at.state(factor + ".importance", p.shape(), Init.zeros());
            at.state(factor + ".uncertainty", p.shape(), Init.zeros());
        }
        Parameter left = at.state("left", Shape.of(e.shape().dim(0)), Init.ones());
        at.saves("lora_A", () -> rows(a.value(), left, e));
        at.saves("lora_E", () -> rows(e.value(), left, e));
        at.saves("lora_B", () -> rows(b.value().transpose(0, 1), left, e).transpose(0, 1).contiguous());
    }

    private static Tensor rows(Tensor all, Parameter left, Parameter e) {
        boolean[] flags = kept(left, e);
        int[] kept = IntStream.range(0, flags.length).filter(i -> flags[i]).toArray();
        if (kept.length == all.dim(0)) return all;
        return kept.length == 0 ? Tensor.zeros(all.spec().with(all.shape().with(0, 0))) : all.gather(Tensor.of(kept));
    }

    /// Which triplets a file holds: those that are left, and between two cuts those that came back.
    private static boolean[] kept(Parameter left, Parameter e) {
        float[] flags = left.value().toFloats(), values = e.value().toFloats();
        boolean[] kept = new boolean[flags.length];
        for (int i = 0; i < kept.length; i++) kept[i] = flags[i] != 0 || values[i] != 0;
        return kept;
    }

    /// What a file holds, by place; null when that is all.
    static RankPattern pattern(Graft graft) {
        Map<String, List<Boolean>> pattern = new LinkedHashMap<>();
        for (String place : graft.places()) {
            List<Boolean> flags = new ArrayList<>();
            for (boolean kept : kept(graft.parameter(place + ".left"), graft.parameter(place + ".lora_E"))) flags.add(kept);
            pattern.put(place + ".lora_E", flags);
        }
        return pattern.values().stream().allMatch(flags -> !flags.contains(false)) ? null : new RankPattern(pattern);
    }

    /// Takes a step into Ī and Ū.
    void observe(Grads grads) {
        for (String place : places) {
            for (String factor : FACTORS) {
                Parameter p = graft.parameter(place + "." + factor);
                Tensor now = p.value().mul(grads.of(p)).abs();
                Tensor importance = graft.parameter(place + "." + factor + ".importance").value();
                Tensor uncertainty = graft.parameter(place + "." + factor + ".uncertainty").value();
                importance.assign(importance.mul(beta1).add(now.mul(1 - beta1)));
                uncertainty.assign(uncertainty.mul(beta2).add(now.sub(importance).abs().mul(1 - beta2)));
            }
        }
    }

    /// Leaves the best `budget` triplets of all layers.
    void cut(int budget) {
        List<float[]> scores = places.stream().map(this::scores).toList();
        float[] sorted = new float[scores.stream().mapToInt(s -> s.length).sum()];
        int n = 0;
        for (float[] s : scores) for (float score : s) sorted[n++] = score;
        Arrays.sort(sorted);
        float threshold = budget >= n ? -1 : sorted[n - budget - 1];
        for (int i = 0; i < places.size(); i++) {
            float[] flags = new float[scores.get(i).length];
            for (int j = 0; j < flags.length; j++) flags[j] = scores.get(i)[j] > threshold ? 1 : 0;
            Tensor left = graft.parameter(places.get(i) + ".left").value();
            left.assign(Tensor.of(flags, flags.length).to(left.dtype()));
        }
        cutAgain();
    }

    private float[] scores(String place) {
        return score(place, "lora_E").add(score(place, "lora_A").mean(1)).squeeze(1).add(score(place, "lora_B").mean(0).squeeze(0))
                .toFloats();
    }

    private Tensor score(String place, String factor) {
        return graft.parameter(place + "." + factor + ".importance").value()
                .mul(graft.parameter(place + "." + factor + ".uncertainty").value());
    }

    /// Sets E to 0 where nothing is left.
    void cutAgain() {
        for (String place : places) {
            Tensor e = graft.parameter(place + ".lora_E").value();
            e.assign(e.mul(graft.parameter(place + ".left").value().unsqueeze(1)));
        }
    }
}
