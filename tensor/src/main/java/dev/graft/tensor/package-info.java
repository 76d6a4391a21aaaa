/// Tensors on native memory owned by scopes, and the tape that differentiates what is computed with them.
package dev.graft.tensor;
