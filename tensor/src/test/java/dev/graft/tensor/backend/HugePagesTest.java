package dev.graft.tensor.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HugePagesTest {
    @BeforeEach
    void onLinux() {
        assumeTrue(System.getProperty("os.name").equals("Linux"), "only Linux has them");
    }

    @ParameterizedTest
    @ValueSource(longs = {HugePages.PAGE, HugePages.PAGE + 1, 3 * HugePages.PAGE - 64, 9 * HugePages.PAGE + 4096})
    void aLargeBlockBeginsAtAPageAndIsZeroUpToItsEnd(long bytes) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment block = HugePages.allocate(bytes, arena);
            assertThat(block.byteSize()).isEqualTo(bytes);
            assertThat(block.address() % HugePages.PAGE).isZero();
            for (long at = 0; at < bytes; at += 4093) assertThat(block.get(ValueLayout.JAVA_BYTE, at)).isZero();
            block.fill((byte) 1);
            assertThat(block.get(ValueLayout.JAVA_BYTE, bytes - 1)).isEqualTo((byte) 1);
        }
    }

    @Test
    void aSmallBlockHasNone() {
        assertThat(HugePages.allocate(HugePages.PAGE - 1, Arena.global())).isNull();
    }

    @Test
    void closingTheArenaGivesTheMemoryBack() throws IOException {
        long before = virtualKilobytes();
        for (int i = 0; i < 64; i++) {
            try (Arena arena = Arena.ofShared()) {
                HugePages.allocate(256L << 20, arena).set(ValueLayout.JAVA_BYTE, 0, (byte) 1);
            }
        }
        assertThat(virtualKilobytes() - before).isLessThan(2 << 20);                       // of the 16 GiB that passed
    }

    @Test
    void theSystemIsAskedForThem() throws IOException {
        Path setting = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");
        assumeTrue(Files.exists(setting) && !Files.readString(setting).contains("[never]"), "this machine has them switched off");
        try (Arena arena = Arena.ofShared()) {
            MemorySegment block = HugePages.allocate(16 * HugePages.PAGE, arena);
            assertThat(Files.readAllLines(Path.of("/proc/self/smaps")).stream().dropWhile(l -> !holds(l, block.address()))
                    .filter(l -> l.startsWith("VmFlags")).findFirst().orElseThrow()).contains(" hg");
        }
    }

    /// Whether a line of smaps begins the mapping that an address is in.
    private static boolean holds(String line, long address) {
        if (!line.matches("[0-9a-f]+-[0-9a-f]+ .*")) return false;
        String[] range = line.substring(0, line.indexOf(' ')).split("-");
        return Long.parseUnsignedLong(range[0], 16) <= address && address < Long.parseUnsignedLong(range[1], 16);
    }

    private static long virtualKilobytes() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(l -> l.startsWith("VmSize:"))
                .mapToLong(l -> Long.parseLong(l.replaceAll("\\D", ""))).findFirst().orElseThrow();
    }
}
