package dev.graft.cuda;

import dev.graft.cuda.driver.CudaException;
import dev.graft.cuda.driver.Driver;
import dev.graft.cuda.driver.PanamaDriver;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.BackendProvider;
import java.util.List;
import java.util.stream.IntStream;

/// The NVIDIA GPUs of this machine.
///
/// The system property `graft.cuda.driver` names the driver's library, if it is not `libcuda.so.1` where the system looks for it.
public final class CudaBackends implements BackendProvider {
    private static final int OLDEST = 11_040;

    @Override
    public List<Backend> backends() {
        String library = System.getProperty("graft.cuda.driver", "libcuda.so.1");
        Driver driver;
        try {
            driver = new PanamaDriver(library);
            if (driver.version() < OLDEST)
                return absent("the NVIDIA driver is of CUDA %d.%d, and 11.4 is needed: install a newer one"
                        .formatted(driver.version() / 1000, driver.version() % 1000 / 10));
            int devices = driver.devices();
            if (devices == 0) return absent("the NVIDIA driver finds no GPU; is CUDA_VISIBLE_DEVICES empty?");
            return IntStream.range(0, devices).<Backend>mapToObj(i -> new CudaBackend(new Device(driver, i))).toList();
        } catch (IllegalArgumentException e) {
            return absent("no NVIDIA driver: " + e.getMessage());
        } catch (CudaException e) {
            return absent(e.code() == CudaException.NO_DEVICE ? "the NVIDIA driver finds no GPU"
                    : "the NVIDIA driver does not start: " + e.getMessage());
        }
    }

    private static List<Backend> absent(String why) {
        return List.of(new NoCuda(why));
    }
}
