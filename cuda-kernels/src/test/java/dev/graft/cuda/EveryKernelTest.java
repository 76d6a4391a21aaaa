package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.op.Attention;
import dev.graft.tensor.op.OpCases;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The contract reaches every kernel: one that it does not launch is judged by nothing.
class EveryKernelTest {
    private final Backend gpu = Backends.named("cuda:0");

    @BeforeEach
    void needsTheEmulatedDriver() {
        assumeTrue(Emulator.isThere() && !System.getProperty("graft.cuda.driver").contains("checked"),
                "counts launches in the fast build of the emulator");
    }

    @Test
    void isLaunchedByTheContract() throws IOException {
        Emulator emulator = Emulator.open();
        for (OpCases.Case c : OpCases.everything()) gradient(c, DType.F32);
        for (OpCases.Case c : OpCases.all()) {
            gradient(c, DType.F64);
            if (!(c.op() instanceof Attention)) value(c, DType.BF16);           // whose queries are F32 at least
        }
        for (OpCases.Case c : OpCases.backward()) value(c, DType.F32);
        List<String> idle = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of("src/main/cuda/budget.txt"))) {
            if (line.matches("#.*|gemm_mma .*|gemm_wgmma .*")) continue;          // GemmTest's
            String kernel = line.split(" +")[1];
            if (emulator.count(kernel) == 0 && !idle.contains(kernel)) idle.add(kernel);
        }
        assertThat(idle).isEmpty();
    }

    private void value(OpCases.Case c, DType type) {
        try (var _ = Scope.open(gpu)) {
            c.op().applyAll(c.inputs(type).toArray(Tensor[]::new)).forEach(Tensor::toDoubles);     // what nobody reads need not be computed
        }
    }

    /// And the value.
    private void gradient(OpCases.Case c, DType type) {
        try (var _ = Scope.open(gpu); Tape tape = Tape.open(); Grads grads = Grads.open()) {
            List<Tensor> in = new ArrayList<>(c.inputs(type));
            for (int i = 0; i < in.size(); i++) if (in.get(i).dtype() == type && !c.isConstant(i)) in.set(i, tape.watch(in.get(i)));
            Tensor y = c.op().applyAll(in.toArray(Tensor[]::new)).getFirst();
            y.toDoubles();
            if (tape.tracks(y)) tape.backward(y, Tensor.ones(y.spec()), grads);
            gpu.await();
        }
    }
}
