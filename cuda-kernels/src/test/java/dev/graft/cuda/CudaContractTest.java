package dev.graft.cuda;

import dev.graft.tensor.Backends;
import dev.graft.tensor.ChosenBackend;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.op.OpContract;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtendWith;

/// What every backend owes every op, on the GPU that there is, or an emulated one.
@ExtendWith(ChosenBackend.class)
class CudaContractTest extends OpContract {
    @Override
    protected Stream<Backend> backends() {
        return Backends.all().stream().filter(b -> b.name().equals("cuda:0"));
    }
}
