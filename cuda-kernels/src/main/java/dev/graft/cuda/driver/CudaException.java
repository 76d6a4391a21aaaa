package dev.graft.cuda.driver;

/// A call of CUDA's driver that failed.
public final class CudaException extends RuntimeException {
    /// Some of the driver's results.
    public static final int OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_FOUND = 500, GRAPH_EXEC_UPDATE_FAILURE = 910;

    private final int code;

    /// @param call the driver's function
    /// @param code its CUresult
    /// @param what the driver's words for it
    public CudaException(String call, int code, String what) {
        super("%s failed with CUDA error %d: %s".formatted(call, code, what));
        this.code = code;
    }

    /// The CUresult.
    public int code() {
        return code;
    }

    /// Whether nothing works in this process any more on the device: what a bad launch leaves behind, and a device that is gone.
    public boolean isFatal() {
        return switch (code) {
            case 46, 214, 220, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 999 -> true;
            default -> false;
        };
    }
}
