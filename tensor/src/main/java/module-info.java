/// Tensors over native memory, reverse-mode autograd, layers and optimisers. Needs the JDK alone.
module dev.graft.tensor {
    requires jdk.incubator.vector;

    exports dev.graft.nn;
    exports dev.graft.optim;
    exports dev.graft.tensor;
    exports dev.graft.tensor.backend;
    exports dev.graft.tensor.op;

    uses dev.graft.tensor.backend.BackendProvider;

    provides dev.graft.tensor.backend.BackendProvider with
            dev.graft.tensor.cpu.HostBackends;
}
