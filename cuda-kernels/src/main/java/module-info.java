/// The CUDA backend of `dev.graft.tensor`.
module dev.graft.cuda {
    requires dev.graft.tensor;
}
