package dev.graft.tensor.cpu;

import java.util.List;

/// How wide the vectors of the CPU backend are, settled once per JVM.
///
/// The system property `graft.vectorBits` says 512, 256, 128 or 0; without it the widest shape the processor likes is taken. 0 is the
/// scalar path, and so is a JVM whose boot layer lacks `jdk.incubator.vector` (class path without `--add-modules jdk.incubator.vector`).
///
/// This class itself must not mention the Vector API: whoever asks it for [#BITS] may run where that module is absent. Classes that do
/// mention it (they use [Lanes]) are loaded only behind `BITS != 0`.
public final class VectorWidth {
    private static final List<Integer> CHOICES = List.of(512, 256, 128, 0);

    /// Bits of a vector: 512, 256 or 128; 0 means scalar code.
    public static final int BITS = choose(System.getProperty("graft.vectorBits"));

    private VectorWidth() {}

    /// Whether there are vectors at all.
    public static boolean isVector() {
        return BITS != 0;
    }

    private static int choose(String wanted) {
        boolean present = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        if (wanted == null || wanted.isBlank()) {
            return present ? Preferred.bits() : 0;
        }
        int bits = CHOICES.stream()
                .filter(choice -> choice.toString().equals(wanted.strip()))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("graft.vectorBits must be one of " + CHOICES + ", got '" + wanted + "'"));
        if (bits != 0 && !present) {
            throw new IllegalArgumentException("graft.vectorBits=" + bits
                    + " needs the module jdk.incubator.vector; start java with --add-modules jdk.incubator.vector, or ask for 0");
        }
        return bits;
    }

    /// Apart, so that the Vector API is touched only where it exists.
    private static final class Preferred {
        static int bits() {
            return Math.clamp(jdk.incubator.vector.FloatVector.SPECIES_PREFERRED.vectorBitSize(), 128, 512);
        }
    }
}
