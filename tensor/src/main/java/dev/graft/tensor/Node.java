package dev.graft.tensor;

/// Where a tensor came from, for the backward pass: a leaf, or a call on a tape.
sealed interface Node permits Leaf, Call {
}
