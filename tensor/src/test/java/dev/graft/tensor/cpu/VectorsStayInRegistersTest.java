package dev.graft.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// How the JIT compiles a kernel depends on what the JVM has run before. Where that goes wrong each vector becomes an object, and a product allocates
/// hundreds of times its operands.
class VectorsStayInRegistersTest {
    @ParameterizedTest
    @ValueSource(strings = {"nothing", "heap segments", "other widths", "normal numbers", "heap segments, other widths, normal numbers"})
    void whateverRanBefore(String before) throws IOException, InterruptedException {
        assumeTrue(VectorWidth.isVector(), "there are no vectors at graft.vectorBits=0");
        Process java = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xmx1g", "-Dgraft.threads=1",
                "-Dgraft.vectorBits=" + VectorWidth.BITS, "-cp", System.getProperty("java.class.path"),
                Products.class.getName(), before).redirectErrorStream(true).start();
        String output = new String(java.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(java.waitFor()).as(output).isZero();
        assertThat(output).contains("all products are compiled");
    }

    /// Runs each product until a call makes no objects in its loops.
    static final class Products {
        private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        /// Bytes of bookkeeping, and of a sum that is stored as an object behind the loop, as happens at times. A row of these products takes 16,000 vector
        /// steps at the least, each of which would be an object of 80 bytes.
        private static final long OUTSIDE_LOOPS = 512 << 10;
        private static final long PATIENCE_NANOS = 20_000_000_000L;

        public static void main(String... args) {
            if (args[0].contains("heap segments")) heapSegments();
            if (args[0].contains("other widths")) otherWidths();
            try (var _ = Scope.open()) {
                if (args[0].contains("normal numbers")) Tensor.randn(DType.F32, Shape.of(2_000_000), 1); // fewer are drawn one by one
                Tensor x = Tensor.uniform(DType.F32, Shape.of(67, 512), 2), row = x.slice(0, 0, 1),
                        w = Tensor.uniform(DType.F32, Shape.of(512, 512), 3);
                Tensor bf16 = w.to(DType.BF16), f16 = w.to(DType.F16), x64 = x.to(DType.F64), w64 = w.to(DType.F64);
                Weight q8 = Weight.Q8.of(w), nf4 = Weight.Nf4.of(w);
                Map<String, Supplier<Tensor>> products = new LinkedHashMap<>();
                products.put("A·Bᵀ", () -> x.matmulT(w));
                products.put("A·B", () -> x.matmul(w));
                products.put("A·Bᵀ, bf16", () -> x.matmulT(bf16));
                products.put("A·Bᵀ, int8 blocks", () -> q8.linear(x));
                products.put("A·Bᵀ, NF4", () -> nf4.linear(x));
                products.put("A·Bᵀ, f64", () -> x64.matmulT(w64));
                products.put("one row, f32", () -> row.matmulT(w));
                products.put("one row, bf16", () -> row.matmulT(bf16));
                products.put("one row, f16", () -> row.matmulT(f16));
                products.put("one row, int8 blocks", () -> q8.linear(row));
                products.put("one row, NF4", () -> nf4.linear(row));
                products.put("five rows", () -> x.slice(0, 0, 5).matmulT(w));
                products.forEach(Products::run);
            }
            System.out.println("all products are compiled");
        }

        private static void run(String name, Supplier<Tensor> product) {
            long begin = System.nanoTime(), allocated;
            do {
                long before = THREADS.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 4; i++) {
                    try (var _ = Scope.open()) {
                        product.get();
                    }
                }
                allocated = (THREADS.getCurrentThreadAllocatedBytes() - before) / 4;
                if (System.nanoTime() - begin > PATIENCE_NANOS)
                    throw new AssertionError(name + " still allocates " + allocated + " bytes");
            } while (allocated > OUTSIDE_LOOPS);
        }

        private static void heapSegments() {
            MemorySegment floats = MemorySegment.ofArray(new float[64]), bytes = MemorySegment.ofArray(new byte[64]);
            for (int i = 0; i < 64 * 1000; i++) {
                floats.setAtIndex(ValueLayout.JAVA_FLOAT, i % 64, i);
                bytes.setAtIndex(ValueLayout.JAVA_BYTE, i % 64, (byte) i);
            }
        }

        private static void otherWidths() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment m = arena.allocate(1024, 64);
                for (int i = 0; i < 30_000; i++) {
                    sums(FloatVector.SPECIES_256, m);
                    sums(FloatVector.SPECIES_128, m);
                }
            }
        }

        private static void sums(VectorSpecies<Float> species, MemorySegment m) {
            FloatVector sum = FloatVector.zero(species);
            for (int i = 0; i < 8; i++) {
                FloatVector v = FloatVector.fromMemorySegment(species, m, 32L * i, Lanes.ORDER);
                sum = v.fma(v, sum);
            }
            sum.intoMemorySegment(m, 512, Lanes.ORDER);
        }
    }
}
