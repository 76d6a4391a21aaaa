/// The operations: one file per operation, with its formula, its shapes and its gradient.
package dev.graft.tensor.op;
