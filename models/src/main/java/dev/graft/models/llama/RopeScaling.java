package dev.graft.models.llama;

import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.JsonObject;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/// How rotary frequencies are changed to reach beyond the length a model was trained on; `rope_type` in config.json.
public sealed interface RopeScaling {
    /// The frequency that takes the place of ω, both in radians per position.
    double scale(double omega);

    /// The keys of config.json, `rope_type` among them.
    Map<String, Object> toJson();

    /// `default`: as they are.
    record None() implements RopeScaling {
        @Override
        public double scale(double omega) {
            return omega;
        }

        @Override
        public Map<String, Object> toJson() {
            return Map.of("rope_type", "default");
        }
    }

    /// `linear`: `ω' = ω/factor`, which is to divide positions (Chen et al. 2023, arXiv:2306.15595).
    record Linear(double factor) implements RopeScaling {
        @Override
        public double scale(double omega) {
            return omega / factor;
        }

        @Override
        public Map<String, Object> toJson() {
            return Map.of("rope_type", "linear", "factor", factor);
        }
    }

    /// `llama3`: slow turns are stretched, fast ones stay, those between are blended (Llama 3.1's reference code).
    ///
    /// ```
    /// λ = 2π/ω      λ < C/hi: ω      λ > C/lo: ω/factor      else (1−s)·ω/factor + s·ω,  s = (C/λ − lo)/(hi − lo)
    /// ```
    ///
    /// @param low lo, `low_freq_factor`
    /// @param high hi, `high_freq_factor`
    /// @param original C, `original_max_position_embeddings`, in tokens
    record Llama3(double factor, double low, double high, int original) implements RopeScaling {
        @Override
        public double scale(double omega) {
            double turns = original * omega / (2 * Math.PI);                     // C/λ
            if (turns > high) return omega;
            if (turns < low) return omega / factor;
            double s = (turns - low) / (high - low);
            return (1 - s) * omega / factor + s * omega;
        }

        @Override
        public Map<String, Object> toJson() {
            return Map.of("rope_type", "llama3", "factor", factor, "low_freq_factor", low, "high_freq_factor", high,
                    "original_max_position_embeddings", original);
        }
    }

    /// From the object under `rope_parameters` or `rope_scaling`; refuses what it does not compute, naming the key.
    static RopeScaling of(JsonObject json) {
        json.has("rope_theta");
        String older = json.optString("type", "default");
        String type = json.optString("rope_type", older);
        RopeScaling scaling = switch (type) {
            case "default" -> new None();
            case "linear" -> new Linear(positive(json, "factor"));
            case "llama3" -> {
                double low = positive(json, "low_freq_factor");
                double high = positive(json, "high_freq_factor");
                if (high <= low) throw json.problem("high_freq_factor", "must be above low_freq_factor, got " + high + " and " + low);
                yield new Llama3(positive(json, "factor"), low, high, (int) positive(json, "original_max_position_embeddings"));
            }
            default -> throw json.problem(json.has("rope_type") ? "rope_type" : "type",
                    "is '" + type + "'; Graft computes default, linear and llama3");
        };
        if (json.optDouble("partial_rotary_factor", 1) != 1)
            throw json.problem("partial_rotary_factor", "must be 1: LLaMA turns whole heads");
        for (String key : json.unknownKeys()) {
            boolean unused = scaling instanceof None && (key.equals("factor") || key.equals("original_max_position_embeddings"));
            if (!unused && !json.isNeutral(key)) throw json.problem(key, "has no meaning for rope_type '" + type + "' here");
        }
        return scaling;
    }

    private static double positive(JsonObject json, String key) {
        double value = json.requireDouble(key);
        if (value <= 0) throw json.problem(key, "must be above 0, got " + value);
        return value;
    }

    /// These keys and the frequency base together.
    default Map<String, Object> toJson(double theta) {
        Map<String, Object> json = new LinkedHashMap<>(Map.of("rope_theta", theta));
        json.putAll(new TreeMap<>(toJson()));
        return json;
    }
}
