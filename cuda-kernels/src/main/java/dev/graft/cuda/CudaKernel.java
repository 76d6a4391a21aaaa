package dev.graft.cuda;

import dev.graft.cuda.driver.Driver;
import java.util.concurrent.atomic.AtomicInteger;

/// A kernel as the host knows it: its name, what it takes, how much dynamic shared memory. What it takes is compared with what was compiled when it is first launched, and in a test.
final class CudaKernel {
    /// One that takes part in an argument list: its size and alignment in bytes.
    record Parameter(int size, int alignment) {
        static final Parameter I32 = new Parameter(4, 4), I64 = new Parameter(8, 8), F32 = new Parameter(4, 4), F64 = new Parameter(8, 8),
                POINTER = new Parameter(8, 8);
        /// A tensor of any type and strides (`elements.cuh`).
        static final Parameter OPERAND = new Parameter(16 + 4 * Launch.AXES + 8 * Launch.AXES, 8);

        static Parameter struct(int size) {
            return new Parameter(size, 8);
        }
    }

    private static final AtomicInteger DECLARED = new AtomicInteger();

    private final int number;
    private final String name;
    private final int sharedBytes;
    private final Parameter[] parameters;
    private final int[] offsets;
    private final int bytes;

    private CudaKernel(int number, String name, int sharedBytes, Parameter... parameters) {
        this.number = number;
        this.name = name;
        this.sharedBytes = sharedBytes;
        this.parameters = parameters;
        offsets = new int[parameters.length];
        int at = 0;
        for (int i = 0; i < parameters.length; i++) {
            at = Math.ceilDiv(at, parameters[i].alignment) * parameters[i].alignment;
            offsets[i] = at;
            at += parameters[i].size;
        }
        bytes = at;
    }

    static CudaKernel declare(String name, Parameter... parameters) {
        return declareShared(name, 0, parameters);
    }

    /// @param sharedBytes most dynamic shared memory that a launch has
    static CudaKernel declareShared(String name, int sharedBytes, Parameter... parameters) {
        return new CudaKernel(DECLARED.getAndIncrement(), name, sharedBytes, parameters);
    }

    /// From 0, in the order they were declared.
    int number() {
        return number;
    }

    String name() {
        return name;
    }

    int sharedBytes() {
        return sharedBytes;
    }

    int parameters() {
        return parameters.length;
    }

    Parameter parameter(int i) {
        return parameters[i];
    }

    int offset(int i) {
        return offsets[i];
    }

    /// Of all arguments.
    int bytes() {
        return bytes;
    }

    /// Arguments for a launch on a device, to be added in their order.
    Launch on(Device device) {
        return Launch.of(this, device);
    }

    /// That this is what was compiled, as far as the driver says.
    void check(Driver driver, long function) {
        for (int i = 0; i <= parameters.length; i++) {
            long compiled = driver.parameter(function, i);
            if (compiled == -2) return;
            long declared = i == parameters.length ? -1 : (long) offsets[i] << 32 | parameters[i].size;
            if (compiled != declared)
                throw new IllegalStateException("kernel %s: parameter %d is declared as %s and was compiled as %s".formatted(name, i,
                        words(declared), words(compiled)));
        }
    }

    private static String words(long parameter) {
        return parameter == -1 ? "none" : "%d bytes at %d".formatted(parameter & 0xFFFFFFFFL, parameter >> 32);
    }

    @Override
    public String toString() {
        return name;
    }
}
