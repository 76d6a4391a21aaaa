package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.BackendProvider;
import dev.graft.tensor.reference.ReferenceBackend;
import java.util.List;

/// What every machine has.
public final class HostBackends implements BackendProvider {
    @Override
    public List<Backend> backends() {
        return List.of(new CpuBackend(), new ReferenceBackend());
    }
}
