package dev.graft.tensor.backend;

/// A pool's books, in bytes.
///
/// @param live in use by tensors now
/// @param reserved held in the pool, unused
/// @param peak most that was live since the start, or since the peak was begun anew
/// @param allocations times the system was asked for memory; flat once a loop has warmed up
public record MemoryStats(long live, long reserved, long peak, long allocations) {
}
