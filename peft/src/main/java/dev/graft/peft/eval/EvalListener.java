package dev.graft.peft.eval;

import java.util.List;

/// Watches an evaluation: shows it, saves what there is so far.
@FunctionalInterface
public interface EvalListener {
    /// @param batch the new responses
    /// @param done  responses so far, earlier runs' among them
    /// @param of    items in all
    void onResponses(List<Response> batch, int done, int of);

    /// This one first, then the other.
    default EvalListener and(EvalListener other) {
        return (batch, done, of) -> {
            onResponses(batch, done, of);
            other.onResponses(batch, done, of);
        };
    }
}
