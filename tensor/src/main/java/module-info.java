/// Tensors over native memory, reverse-mode autograd, layers and optimisers. Needs the JDK alone.
module dev.graft.tensor {
    requires jdk.incubator.vector;
    exports dev.graft.tensor;
}
