package dev.graft.peft;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/// The places that LLM-Adapters' study of placement compares (Hu et al. 2023, arXiv:2304.01933), for each architecture.
///
/// | | attn | mlp | both |
/// |---|---|---|---|
/// | series | before the layers that open the MLP | after the layer that closes it | both |
/// | parallel, lora | queries, keys, values | the layers that the MLP goes through | both |
///
/// Of LLaMA's MLP, parallel and lora take `up_proj` and `down_proj` and leave `gate_proj` out; of attention they leave out the projection of its output.
/// A [Targets.Place] is all of them.
public final class Placements {
    /// @param attention all projections of attention
    /// @param opens layers that open the MLP
    /// @param closes the layer that closes it
    /// @param through layers of the MLP that the study goes to: all but LLaMA's gate
    private record Layers(List<String> attention, List<String> opens, List<String> closes, List<String> through) {
        /// Of attention, what the study goes to.
        List<String> queriesKeysValues() {
            return attention.subList(0, attention.size() - 1);
        }

        List<String> mlp() {
            return joined(opens, closes);
        }
    }

    private static final List<String> QKVO = List.of("q_proj", "k_proj", "v_proj", "out_proj");

    // @formatter:off
    private static final Map<String, Layers> ARCHITECTURES = new TreeMap<>(Map.of(
            "llama",   new Layers(List.of("q_proj", "k_proj", "v_proj", "o_proj"), List.of("gate_proj", "up_proj"), List.of("down_proj"), List.of("up_proj", "down_proj")),
            "bloom",   new Layers(List.of("query_key_value", "dense"), List.of("dense_h_to_4h"), List.of("dense_4h_to_h"), List.of("dense_h_to_4h", "dense_4h_to_h")),
            "chatglm", new Layers(List.of("query_key_value", "dense"), List.of("dense_h_to_4h"), List.of("dense_4h_to_h"), List.of("dense_h_to_4h", "dense_4h_to_h")),
            "gptj",    new Layers(QKVO, List.of("fc_in"), List.of("fc_out"), List.of("fc_in", "fc_out")),
            "gpt_neo", new Layers(QKVO, List.of("c_fc"), List.of("c_proj"), List.of("c_fc", "c_proj")),
            "opt",     new Layers(QKVO, List.of("fc1"), List.of("fc2"), List.of("fc1", "fc2"))));
    // @formatter:on

    private Placements() {
    }

    /// `series-attn`, `series-mlp`, `series-both`, and the same of `parallel` and `lora`.
    public static List<String> names() {
        return Stream.of("series", "parallel", "lora").flatMap(f -> Stream.of("attn", "mlp", "both").map(p -> f + "-" + p)).toList();
    }

    /// Names of the layers that a placement stands for in a model of this `model_type`.
    public static List<String> targets(String placement, String modelType) {
        Layers layers = layers(modelType);
        return switch (placement) {
            case "series-attn" -> layers.opens;
            case "series-mlp" -> layers.closes;
            case "series-both" -> layers.mlp();
            case "parallel-attn", "lora-attn" -> layers.queriesKeysValues();
            case "parallel-mlp", "lora-mlp" -> layers.through;
            case "parallel-both", "lora-both" -> joined(layers.queriesKeysValues(), layers.through);
            default -> throw new AdapterException("no placement '%s'; there are %s".formatted(placement, names()));
        };
    }

    /// Names of all layers at a place in a model of this `model_type`: LLaMA's attention is `q_proj`, `k_proj`, `v_proj` and `o_proj`, its MLP
    /// `gate_proj`, `up_proj` and `down_proj`.
    public static List<String> layers(Targets.Place place, String modelType) {
        Layers layers = layers(modelType);
        return switch (place) {
            case ATTENTION -> layers.attention;
            case MLP -> layers.mlp();
            case BOTH -> joined(layers.attention, layers.mlp());
        };
    }

    /// The architectures there are places for.
    static Set<String> modelTypes() {
        return ARCHITECTURES.keySet();
    }

    private static Layers layers(String modelType) {
        Layers layers = ARCHITECTURES.get(modelType);
        if (layers == null)
            throw new AdapterException("no placements for model_type '%s'; there are %s".formatted(modelType, ARCHITECTURES.keySet()));
        return layers;
    }

    private static List<String> joined(List<String> a, List<String> b) {
        return Stream.concat(a.stream(), b.stream()).toList();
    }
}
