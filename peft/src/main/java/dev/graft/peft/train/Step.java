package dev.graft.peft.train;

import dev.graft.tensor.Grads;

/// A step of the optimizer that was just made.
///
/// @param number from 1
/// @param steps of the whole run
/// @param grads what it was made by, freed when all have seen it
public record Step(long number, long steps, Grads grads) {
}
