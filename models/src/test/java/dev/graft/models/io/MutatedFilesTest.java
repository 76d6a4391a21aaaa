package dev.graft.models.io;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.graft.models.Golden;
import dev.graft.tensor.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Right files made wrong by chance: whatever comes out is either refused by a [CheckpointException] or read without a fault, soon, and with
/// memory in proportion to the file. The seeds are fixed, so a failure names an input that can be made again.
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class MutatedFilesTest {
    private static final int INPUTS = 300;
    private static final long NANOS_EACH = 5_000_000_000L; // thousands of times what one takes, far from what a hang takes
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final String[] NUMBERS = {"0", "1", "-1", "2147483647", "2147483648", "4294967296", "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615", "1e9", "1e400", "0.5", "null", "[]", "true", "\"7\""};

    @TempDir
    Path folder;

    private int loaded, refused;

    @ParameterizedTest
    @ValueSource(strings = {"models/llama-mha/model.safetensors", "formats/llama-bf16-sharded/model-00002-of-00002.safetensors",
            "peft/gptj/lora/adapter_model.safetensors", "formats/gptj-f16/io.safetensors"})
    void safetensors(String golden) throws IOException {
        byte[] right = Files.readAllBytes(Golden.path(golden));
        int headerEnd = (int) ByteBuffer.wrap(right).order(ByteOrder.LITTLE_ENDIAN).getLong(0) + 8;
        for (int seed = 0; seed < INPUTS; seed++) {
            Random random = new Random(seed);
            byte[] bytes = switch (seed % 6) {
                case 0 -> bitFlips(right, headerEnd, random);
                case 1 -> Arrays.copyOf(right, random.nextInt(random.nextBoolean() ? headerEnd : right.length));
                case 2 -> headerLength(right, random);
                case 3 -> withHeader(right, headerEnd, anotherNumber(header(right, headerEnd), random));
                case 4 -> withHeader(right, headerEnd, movedText(header(right, headerEnd), random));
                default -> withHeader(right, headerEnd, anotherNumber(movedText(header(right, headerEnd), random), random));
            };
            check(golden + " seed " + seed, Files.write(folder.resolve("model.safetensors"), bytes), bytes.length);
        }
        assertBothHappened();
    }

    @Test
    void indexes() throws IOException {
        Path golden = Golden.path("formats/llama-bf16-sharded");
        for (String shard : new String[] {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"})
            Files.copy(golden.resolve(shard), folder.resolve(shard));
        byte[] right = Files.readAllBytes(golden.resolve("model.safetensors.index.json"));
        String text = new String(right, StandardCharsets.UTF_8);
        Path index = folder.resolve("model.safetensors.index.json");
        for (int seed = 0; seed < INPUTS; seed++) {
            Random random = new Random(seed);
            byte[] bytes = switch (seed % 4) {
                case 0 -> bitFlips(right, right.length, random);
                case 1 -> Arrays.copyOf(right, random.nextInt(right.length));
                case 2 -> movedText(text, random).getBytes(StandardCharsets.UTF_8);
                default -> anotherNumber(text, random).getBytes(StandardCharsets.UTF_8);
            };
            check("index seed " + seed, Files.write(index, bytes), bytes.length + 70_000);
        }
        assertBothHappened();
    }

    @ParameterizedTest
    @ValueSource(strings = {"llm-adapters/gptj/series-p/adapter_model.bin", "formats/gptj-torch-bin/pytorch_model.bin"})
    void torchFiles(String golden) throws IOException {
        byte[] right = Files.readAllBytes(Golden.path(golden));
        int directory = right.length - 2000;
        for (int seed = 0; seed < INPUTS; seed++) {
            Random random = new Random(seed);
            byte[] bytes = switch (seed % 4) {
                case 0 -> bitFlips(right, Math.min(right.length, 1000), random);
                case 1 -> Arrays.copyOf(right, random.nextInt(right.length));
                case 2 -> flippedFrom(right, directory, random);
                default -> anotherWord(right, directory, random);
            };
            check(golden + " seed " + seed, Files.write(folder.resolve("pytorch_model.bin"), bytes), bytes.length);
        }
        assertBothHappened();
    }

    /// The zip is sound and its checksum right, so the pickle itself is what is wrong.
    @Test
    void pickles() throws IOException {
        byte[] right;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment zip = MappedFile.map(Golden.path("llm-adapters/gptj/series-p/adapter_model.bin"), arena);
            right = ZipDirectory.read(folder, zip).get("adapter_model/data.pkl").data().toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
        }
        int[] opcodes = {'.', '(', 'N', 'J', 'K', 'M', 'X', ')', ']', '}', 'a', 'e', 's', 'u', 'q', 'r', 'h', 'j', 'c', 'R', 'b', 'Q', 't',
                0x80, 0x85,
                0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x93, 0x94, 0x95, 'i', 'o', '0', '1', '2', 'p', 'g', 'I', 'L', 'F', 0x81, 0x82, 0x8b,
                0x8e};
        for (int seed = 0; seed < 2 * INPUTS; seed++) {
            Random random = new Random(seed);
            byte[] pickle = right.clone();
            switch (seed % 5) {
                case 0 -> pickle = bitFlips(right, right.length, random);
                case 1 -> pickle[random.nextInt(right.length)] = (byte) opcodes[random.nextInt(opcodes.length)];
                case 2 -> pickle = Arrays.copyOf(right, random.nextInt(right.length));
                case 3 -> pickle = spliced(right, random);
                default -> pickle[sizes(right, random)] = (byte) random.nextInt(256);
            }
            TorchFile torch = TorchFile.of(pickle);
            for (int i = 0; i < 4; i++) torch.floats(Integer.toString(i), new float[192]);
            byte[] bytes = torch.bytes();
            check("pickle seed " + seed, Files.write(folder.resolve("adapter_model.bin"), bytes), bytes.length);
        }
        assertBothHappened();
    }

    @ParameterizedTest
    @ValueSource(strings = {"models/llama-gqa-tied/config.json", "peft/llama-gqa-tied/lora/adapter_config.json"})
    void settings(String golden) throws IOException {
        byte[] right = Files.readAllBytes(Golden.path(golden));
        String text = new String(right, StandardCharsets.UTF_8);
        Path file = folder.resolve("config.json");
        List<String> keys = Json.read(Golden.path(golden)).keys();
        for (int seed = 0; seed < INPUTS; seed++) {
            Random random = new Random(seed);
            byte[] bytes = switch (seed % 4) {
                case 0 -> bitFlips(right, right.length, random);
                case 1 -> Arrays.copyOf(right, random.nextInt(right.length));
                case 2 -> movedText(text, random).getBytes(StandardCharsets.UTF_8);
                default -> anotherNumber(text, random).getBytes(StandardCharsets.UTF_8);
            };
            Files.write(file, bytes);
            measured(golden + " seed " + seed, bytes.length, () -> {
                JsonObject config = Json.read(file);
                for (String key : keys) {
                    if (config.isString(key)) config.requireString(key);
                    else if (config.isList(key)) config.optStrings(key);
                    else if (config.isObject(key)) config.requireObject(key).toMap();
                    else if (config.isNumber(key)) config.requireDouble(key);
                }
                Json.format(config.toMap());
            });
        }
        assertBothHappened();
    }

    @Test
    void theMeasureSeesAnAllocationOutOfProportion() {
        org.assertj.core.api.Assertions.assertThatThrownBy(() -> measured("x", 100, () -> new ArrayList<>(10_000_000)))
                .isInstanceOf(AssertionError.class).hasMessageContaining("allocated");
    }

    /// Opens the file and reads every tensor.
    private void check(String what, Path file, long fileBytes) {
        measured(what, fileBytes, () -> {
            try (Checkpoint checkpoint = Checkpoint.open(file); Arena arena = Arena.ofConfined()) {
                for (Entry entry : checkpoint.entries().values()) {
                    if (entry.bytes().byteSize() != entry.byteSize())
                        throw new AssertionError(entry + " has " + entry.bytes().byteSize() + " bytes");
                    entry.type().dtype().ifPresent(
                            dtype -> entry.read(dtype.isFloating() ? DType.F64 : DType.I64, arena.allocate(8 * entry.shape().size())));
                }
            }
        });
    }

    private void measured(String what, long fileBytes, Runnable reading) {
        long limit = 24 * fileBytes + 20_000;
        long start = System.nanoTime(), bytes = allocated(what, reading);
        if (bytes > limit) bytes = allocated(what, reading); // the first time of anything loads classes
        long took = System.nanoTime() - start;
        assertThat(took).as("%s: nanoseconds", what).isLessThan(NANOS_EACH);
        assertThat(bytes).as("%s: bytes allocated for a file of %d", what, fileBytes).isLessThan(limit);
    }

    private long allocated(String what, Runnable reading) {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        try {
            reading.run();
            loaded++;
        } catch (CheckpointException e) {
            refused++;
            if (e.getMessage().length() > 1000)
                throw new AssertionError(what + " has a message of " + e.getMessage().length() + " characters", e);
        } catch (Throwable t) {
            throw new AssertionError(what + " ended in " + t, t);
        }
        return THREADS.getCurrentThreadAllocatedBytes() - before;
    }

    /// A test that only refuses, or never does, tests one half.
    private void assertBothHappened() {
        assertThat(loaded).as("files that still loaded").isPositive();
        assertThat(refused).as("files refused").isGreaterThan(INPUTS / 3);
    }

    private static byte[] bitFlips(byte[] right, int end, Random random) {
        byte[] bytes = right.clone();
        for (int i = random.nextInt(3); i >= 0; i--) bytes[random.nextInt(end)] ^= (byte) (1 << random.nextInt(8));
        return bytes;
    }

    private static byte[] flippedFrom(byte[] right, int start, Random random) {
        byte[] bytes = right.clone();
        bytes[start + random.nextInt(right.length - start)] ^= (byte) (1 << random.nextInt(8));
        return bytes;
    }

    private static byte[] anotherWord(byte[] right, int start, Random random) {
        byte[] bytes = right.clone();
        int[] words = {0, -1, 1, Integer.MAX_VALUE, Integer.MIN_VALUE, right.length, random.nextInt()};
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(start + random.nextInt(right.length - start - 4),
                words[random.nextInt(words.length)]);
        return bytes;
    }

    private static byte[] headerLength(byte[] right, Random random) {
        byte[] bytes = right.clone();
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        long length = buffer.getLong(0);
        long[] lengths = {length + random.nextInt(-20, 20), random.nextLong(), random.nextInt(right.length), right.length - 8,
                right.length - 7, 0, 1, -1,
                Long.MAX_VALUE, Long.MIN_VALUE, 100_000_000, 100_000_001};
        buffer.putLong(0, lengths[random.nextInt(lengths.length)]);
        return bytes;
    }

    private static String header(byte[] right, int headerEnd) {
        return new String(right, 8, headerEnd - 8, StandardCharsets.UTF_8);
    }

    private static byte[] withHeader(byte[] right, int headerEnd, String header) {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + text.length + right.length - headerEnd).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text)
                .put(right, headerEnd, right.length - headerEnd).array();
    }

    private static String anotherNumber(String text, Random random) {
        Matcher numbers = Pattern.compile("\\d+").matcher(text);
        int chosen = random.nextInt((int) numbers.results().count());
        numbers.reset();
        for (int i = 0; i <= chosen; i++) numbers.find();
        return text.substring(0, numbers.start()) + NUMBERS[random.nextInt(NUMBERS.length)] + text.substring(numbers.end());
    }

    /// Takes a piece of the text away, doubles it, or puts it elsewhere.
    private static String movedText(String text, Random random) {
        int length = 1 + random.nextInt(random.nextBoolean() ? 4 : 200), from = random.nextInt(text.length());
        String piece = text.substring(from, Math.min(text.length(), from + length));
        String rest = random.nextBoolean() ? text : text.substring(0, from) + text.substring(from + piece.length());
        int to = random.nextInt(rest.length() + 1);
        return random.nextInt(3) == 0 ? rest : rest.substring(0, to) + piece + rest.substring(to);
    }

    private static byte[] spliced(byte[] right, Random random) {
        String latin = new String(right, StandardCharsets.ISO_8859_1);
        return movedText(latin, random).getBytes(StandardCharsets.ISO_8859_1);
    }

    /// The place of the argument of some BININT1: a size, stride, offset or count.
    private static int sizes(byte[] pickle, Random random) {
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i + 1 < pickle.length; i++) if (pickle[i] == 'K') places.add(i + 1);
        return places.get(random.nextInt(places.size()));
    }
}
