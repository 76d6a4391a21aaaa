/// The CUDA backend of `dev.graft.tensor`.
module dev.graft.cuda {
    requires dev.graft.tensor;

    exports dev.graft.cuda.driver;

    provides dev.graft.tensor.backend.BackendProvider with
            dev.graft.cuda.CudaBackends;
}
