package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/// Brings views of any strides to loops that know whole vectors of unit stride only: operands that step otherwise, and what is left over of a row,
/// go through a stage. All elements are 4 bytes wide.
final class Blocks {
    /// A loop over one block: operand i, inputs first, begins at byte `at[i]` of `memory[i]`; n is a multiple of the vector's length.
    interface Body {
        void run(MemorySegment[] memory, long[] at, int n);
    }

    /// Elements in a block: four operands of 8 KiB share the first-level cache.
    private static final int BLOCK = 2048;
    /// Elements that pay for waking a thread: some 10 µs of memory traffic.
    private static final long GRAIN = 32 << 10;
    private static final ValueLayout.OfInt ELEMENT = ValueLayout.JAVA_INT_UNALIGNED;

    private final Nest nest;
    private final int inputs;
    private final MemorySegment[] memory;

    private Blocks(Nest nest, int inputs, MemorySegment... memory) {
        this.nest = nest;
        this.inputs = inputs;
        this.memory = memory;
    }

    /// The inputs stretched to the outputs' shape.
    static Blocks of(List<View> in, View... out) {
        List<View> all = new ArrayList<>();
        for (View v : in) all.add(v.expand(out[0].shape()));
        all.addAll(List.of(out));
        return new Blocks(Nest.of(all), in.size(), all.stream().map(View::segment).toArray(MemorySegment[]::new));
    }

    /// Whether an input is one and the same number all along a row.
    boolean repeats(int operand) {
        return nest.step(operand) == 0;
    }

    /// Every input as a row of numbers.
    void run(Body body) {
        run(body, false);
    }

    /// Inputs that repeat are handed on as they are, one number at `at[i]`.
    void runWithRepeats(Body body) {
        run(body, true);
    }

    private void run(Body body, boolean keepsRepeats) {
        long inner = nest.inner();
        if (inner == 0) return;
        long perRow = Math.ceilDiv(inner, BLOCK);
        boolean direct = true;
        for (int v = 0; v < memory.length; v++) direct &= nest.step(v) == 4 || keepsRepeats && repeats(v);
        boolean isDirect = direct;
        Parallel.range(nest.rows() * perRow, Math.ceilDiv(GRAIN, Math.min(inner, BLOCK)), (from, to) -> {
            Storage stage = isDirect && inner % Lanes.LENGTH == 0 ? null : HostMemory.shared().allocate(memory.length * BLOCK * 4L);
            try {
                Part part = new Part(body, keepsRepeats, stage == null ? null : stage.segment());
                for (long b = from; b < to; b++) {
                    long start = b % perRow * BLOCK;
                    part.block(b / perRow, start, (int) Math.min(BLOCK, inner - start), isDirect);
                }
            } finally {
                if (stage != null) stage.release();
            }
        });
    }

    /// What one thread does.
    private final class Part {
        private final Body body;
        private final boolean keepsRepeats;
        private final MemorySegment stage;
        private final long[] at = new long[memory.length];
        private final long[] staged = new long[memory.length];
        private final MemorySegment[] stages = memory.clone();

        Part(Body body, boolean keepsRepeats, MemorySegment stage) {
            this.body = body;
            this.keepsRepeats = keepsRepeats;
            this.stage = stage;
            for (int v = 0; v < memory.length && stage != null; v++) {
                if (!isKept(v)) stages[v] = stage;
            }
        }

        void block(long row, long start, int n, boolean direct) {
            nest.locate(row, at);
            move(start);
            int whole = direct ? n - n % Lanes.LENGTH : 0;
            if (whole > 0) body.run(memory, at, whole);
            if (whole < n) {
                move(whole);
                throughStage(n - whole);
            }
        }

        private void move(long elements) {
            for (int v = 0; v < at.length; v++) at[v] += elements * nest.step(v);
        }

        private void throughStage(int n) {
            for (int v = 0; v < at.length; v++) {
                staged[v] = isKept(v) ? at[v] : v * BLOCK * 4L;
                if (v < inputs && !isKept(v)) copy(memory[v], at[v], nest.step(v), stage, staged[v], 4, n);
            }
            body.run(stages, staged, Math.ceilDiv(n, Lanes.LENGTH) * Lanes.LENGTH);
            for (int v = inputs; v < at.length; v++) copy(stage, staged[v], 4, memory[v], at[v], nest.step(v), n);
        }

        private boolean isKept(int operand) {
            return keepsRepeats && repeats(operand) && operand < inputs;
        }
    }

    private static void copy(MemorySegment from, long fo, long fromStep, MemorySegment to, long too, long toStep, int n) {
        for (int i = 0; i < n; i++) to.set(ELEMENT, too + i * toStep, from.get(ELEMENT, fo + i * fromStep));
    }
}
