package dev.graft.bench;

import java.util.Map;

/// What a bench of another library stands beside: the bench of ours that does the same.
///
/// @param library the other library, with its version
/// @param bench ours, as it is called in tables: `op.MatMulBench.matmul`
/// @param params those of our parameters that must have this value; any value of the others will do
public record Peer(String library, String bench, Map<String, String> params) {
    /// A benchmark of another library. Called after its parameters are set, without its setup.
    public interface Known extends Work.Known {
        Peer peer();
    }
}
