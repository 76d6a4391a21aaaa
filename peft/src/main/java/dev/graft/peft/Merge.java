package dev.graft.peft;

/// What merging does with weights that are stored quantised, where every change is rounded once more.
public enum Merge {
    /// Refuses.
    EXACT,
    /// Stores the merged weight unquantised, as F32.
    DEQUANTISE,
    /// Quantises the merged weight again; the report says by how much that is off.
    REQUANTISE
}
