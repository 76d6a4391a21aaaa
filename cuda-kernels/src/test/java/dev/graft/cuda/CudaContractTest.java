package dev.graft.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.tensor.Backends;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.op.OpContract;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;

/// What every backend owes every op, on the GPU that there is, or an emulated one.
class CudaContractTest extends OpContract {
    @BeforeEach
    void needsADevice() {
        assumeTrue(Backends.all().stream().anyMatch(b -> b.name().equals("cuda:0") && b.isAvailable()), "needs a GPU, or an emulated one");
    }

    @Override
    protected Stream<Backend> backends() {
        return Backends.all().stream().filter(b -> b.name().equals("cuda:0"));
    }
}
