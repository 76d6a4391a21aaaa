package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.driver.PanamaDriver;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.ValueLayout;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// What is bound by hand has the signatures of the header of CUDA that the emulator was built with (signatures.cpp).
class DriverSignatureTest {
    @Test
    void boundFunctionsAreThoseOfTheHeader() {
        assumeTrue(Emulator.isThere(), "needs the emulator");
        Emulator header = Emulator.open();
        new PanamaDriver(System.getProperty("graft.cuda.driver"));
        assertThat(PanamaDriver.bound()).hasSizeGreaterThan(30).allSatisfy(b -> {
            Stream<MemoryLayout> result = b.descriptor().returnLayout().stream();
            String own = Stream.concat(result, b.descriptor().argumentLayouts().stream()).map(DriverSignatureTest::letter)
                    .collect(Collectors.joining());
            assertThat(own).as(b.name()).isEqualTo(header.signature(b.name()));
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
