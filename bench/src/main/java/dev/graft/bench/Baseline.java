package dev.graft.bench;

import java.util.Map;

/// A benchmark of several ways to do one thing, of which one is the measure of the others. Called after its parameters are set, without its setup.
public interface Baseline {
    /// The parameters that make it that one: `{"method": "lora"}`.
    Map<String, String> baseline();
}
