/// The CUDA backend of `dev.graft.tensor`.
module dev.graft.cuda {
    requires dev.graft.tensor;
    requires static jcuda;
    requires static jcublas;

    exports dev.graft.cuda.driver;

    provides dev.graft.tensor.backend.BackendProvider with
            dev.graft.cuda.CudaBackends;
}
