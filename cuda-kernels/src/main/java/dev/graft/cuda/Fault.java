package dev.graft.cuda;

import dev.graft.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/// What a kernel found wrong with its inputs: a struct in the host's memory that it writes (`fault.cuh`), and that is looked at whenever the host has waited for the device.
final class Fault {
    /// In the order of `Wrong`.
    private enum What {
        GATHER_INDEX("[gather] index %d is outside 0 … %d"),
        SCATTER_INDEX("[scatter_add] index %d is outside 0 … %d"),
        ROPE_POSITION("[rope] position %d is outside 0 … %d"),
        CROSS_ENTROPY_TARGET("[cross_entropy] target %d is outside 0 … %d and not the ignore_index %d");

        private final String sentence;

        What(String sentence) {
            this.sentence = sentence;
        }
    }

    static final long BYTES = 32;
    private static final int IS_THERE = 2;
    private static final VarHandle STATE = ValueLayout.JAVA_INT.varHandle();

    private final MemorySegment memory;

    Fault(MemorySegment memory) {
        this.memory = memory;
        memory.fill((byte) 0);
    }

    long address() {
        return memory.address();
    }

    /// Throws what there is to throw, once.
    void check() {
        if ((int) STATE.getAcquire(memory, 0L) != IS_THERE) return;
        What what = What.values()[memory.get(ValueLayout.JAVA_INT, 4)];
        String sentence = what.sentence.formatted(memory.get(ValueLayout.JAVA_LONG, 8), memory.get(ValueLayout.JAVA_LONG, 16),
                memory.get(ValueLayout.JAVA_LONG, 24));
        memory.fill((byte) 0);
        throw new TensorException(sentence);
    }
}
