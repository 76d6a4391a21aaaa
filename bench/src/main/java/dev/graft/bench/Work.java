package dev.graft.bench;

/// What one call of a benchmark costs at least: floating-point operations (a fused multiply-add is two) and bytes that must cross the memory
/// bus, each operand counted once. With them a time reads as a share of what the machine can do.
public record Work(double flops, double bytes) {
    /// A benchmark that knows its work. Called after its parameters are set, without its setup.
    public interface Known {
        Work work();
    }
}
