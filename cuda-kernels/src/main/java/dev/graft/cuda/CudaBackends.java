package dev.graft.cuda;

import dev.graft.cuda.driver.CudaException;
import dev.graft.cuda.driver.Driver;
import dev.graft.cuda.driver.JcudaDriver;
import dev.graft.cuda.driver.PanamaDriver;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.BackendProvider;
import java.util.List;
import java.util.stream.IntStream;

/// The NVIDIA GPUs of this machine.
///
/// System properties: `graft.cuda.binding` is how the driver is called, `panama` or `jcuda`; `graft.cuda.driver` names its library, if it is not `libcuda.so.1` where the system looks for it; `graft.cuda.cublas` names
/// cuBLAS, or is `none` to do without it.
public final class CudaBackends implements BackendProvider {
    private static final int OLDEST = 11_040;

    @Override
    public List<Backend> backends() {
        try {
            Driver driver = driver(System.getProperty("graft.cuda.driver"));
            if (driver.version() < OLDEST)
                return passedOver("the NVIDIA driver is of CUDA %d.%d, and 11.4 is needed: install a newer one"
                        .formatted(driver.version() / 1000, driver.version() % 1000 / 10));
            int devices = driver.devices();
            if (devices == 0) return absent("the NVIDIA driver finds no GPU; is CUDA_VISIBLE_DEVICES empty?");
            return IntStream.range(0, devices).<Backend>mapToObj(i -> new CudaBackend(new Device(driver, i))).toList();
        } catch (IllegalArgumentException e) {
            return absent("no NVIDIA driver: " + e.getMessage());
        } catch (NoClassDefFoundError e) {
            return passedOver("JCuda is not on the class path: add org.jcuda:jcuda:12.6.0 and org.jcuda:jcuda-natives:12.6.0:linux-x86_64");
        } catch (CudaException e) {
            if (e.code() == CudaException.NO_DEVICE) return absent("the NVIDIA driver finds no GPU");
            return passedOver("the NVIDIA driver does not start: " + e.getMessage());
        }
    }

    /// @param library of the driver; null for the system's
    static Driver driver(String library) {
        String binding = System.getProperty("graft.cuda.binding", "panama");
        return switch (binding) {
            case "panama" -> new PanamaDriver(library == null ? "libcuda.so.1" : library);
            case "jcuda" -> new JcudaDriver(library);
            default -> throw new IllegalArgumentException("graft.cuda.binding must be panama or jcuda, got " + binding);
        };
    }

    /// Where there seems to be a GPU: who has not said what to compute with should hear that it is not used.
    private static List<Backend> passedOver(String why) {
        if (System.getProperty("graft.backend") == null)
            System.getLogger(CudaBackends.class.getPackageName()).log(System.Logger.Level.WARNING, "The GPU is not used: {0}", why);
        return absent(why);
    }

    private static List<Backend> absent(String why) {
        return List.of(new NoCuda(why));
    }
}
