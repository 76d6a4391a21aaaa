/// Optimisers, learning-rate schedules and gradient clipping.
package dev.graft.optim;
