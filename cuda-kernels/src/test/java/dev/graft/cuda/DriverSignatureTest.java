package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.driver.PanamaDriver;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/// What is bound by hand has the signatures of CUDA's header, as `signatures.cpp` printed them.
class DriverSignatureTest {
    @Test
    void boundFunctionsAreThoseOfTheHeader() throws IOException {
        assumeTrue(Emulator.isThere(), "needs the emulator");
        Map<String, String> header;
        try (InputStream in = DriverSignatureTest.class.getResourceAsStream("driver-signatures.txt")) {
            header = new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().filter(l -> !l.startsWith("#")).map(l -> l.split(" "))
                    .collect(Collectors.toMap(l -> l[0], l -> l.length > 1 ? l[1] : ""));
        }
        new PanamaDriver(System.getProperty("graft.cuda.driver"));
        assertThat(PanamaDriver.bound()).hasSizeGreaterThan(30).allSatisfy(b -> {
            String own = b.descriptor().argumentLayouts().stream().map(DriverSignatureTest::letter).collect(Collectors.joining());
            assertThat(own).as(b.name()).isEqualTo(header.get(b.name()));
        });
    }

    /// Pointers and handles are of 64 bits alike.
    private static String letter(MemoryLayout layout) {
        return switch (layout) {
            case AddressLayout _ -> "J";
            case ValueLayout.OfLong _ -> "J";
            case ValueLayout.OfInt _ -> "I";
            case ValueLayout.OfByte _ -> "B";
            default -> "?";
        };
    }
}
