package dev.graft.bench;

/// What one call of a benchmark costs at least: floating-point operations (a fused multiply-add is two) and bytes that must cross the memory
/// bus, each operand counted once. With them a time reads as a share of what the machine can do.
///
/// @param tokens how many tokens of text a call goes through; 0 where that means nothing
public record Work(double flops, double bytes, double tokens) {
    public Work(double flops, double bytes) {
        this(flops, bytes, 0);
    }

    /// A benchmark that knows its work. Called after its parameters are set, without its setup.
    public interface Known extends PerMethod {
        Work work();

        @Override
        default Work workOf(String method) {
            return work();
        }
    }

    /// A class of several benchmarks that knows the work of each.
    public interface PerMethod {
        Work workOf(String method);
    }
}
