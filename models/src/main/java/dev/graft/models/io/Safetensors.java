package dev.graft.models.io;

import com.fasterxml.jackson.core.JsonFactory;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Writes safetensors files (read by [Checkpoint]). The same tensors give the same bytes, and the bytes the Python library writes.
///
/// ```
/// 8 bytes     N, little-endian
/// N bytes     {"__metadata__":{"format":"pt"},"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},…} and spaces up to a multiple of 8
/// the rest    the tensors without gaps, widest elements first and then by name, so that each lies at a multiple of its element's size
/// ```
public final class Safetensors {
    /// What Hugging Face's loader expects to find.
    public static final Map<String, String> FORMAT = Map.of("format", "pt");

    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";

    private Safetensors() {}

    /// Writes one file, [atomically][AtomicFile], with the metadata [#FORMAT].
    public static void write(Path file, List<TensorSource> tensors) {
        write(file, tensors, FORMAT);
    }

    public static void write(Path file, List<TensorSource> tensors, Map<String, String> metadata) {
        List<TensorSource> ordered = order(file, tensors);
        byte[] header = header(ordered, metadata);
        if (header.length > SafetensorsHeader.MAX_BYTES)
            throw new CheckpointException(file,
                    "would have a header of " + header.length + " bytes; readers take at most " + SafetensorsHeader.MAX_BYTES);
        AtomicFile.write(file, channel -> {
            ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
            start.putLong(header.length).put(header).flip();
            while (start.hasRemaining()) channel.write(start);
            for (TensorSource tensor : ordered) TensorOutput.write(file, channel, tensor);
        });
    }

    /// Writes a model into a folder: `model.safetensors` if all fits into `maxShardBytes`, else shards of at most that much (a single larger tensor
    /// gets a shard of its own), filled in the order given, and their index. What an earlier call left under the other names is removed last,
    /// since a reader would take it for part of the model.
    public static void writeModel(Path folder, List<TensorSource> tensors, long maxShardBytes) {
        Set<Path> old = written(folder);
        List<List<TensorSource>> shards = split(tensors, maxShardBytes);
        if (shards.size() == 1) {
            write(folder.resolve(SINGLE), tensors);
            old.remove(folder.resolve(SINGLE));
        } else {
            order(folder, tensors); // a name twice must not go unseen for being in two shards
            Map<String, String> shardOf = new LinkedHashMap<>();
            long total = 0;
            for (int i = 0; i < shards.size(); i++) {
                String shard = String.format("model-%05d-of-%05d.safetensors", i + 1, shards.size());
                write(folder.resolve(shard), shards.get(i));
                for (TensorSource t : shards.get(i)) {
                    shardOf.put(t.name(), shard);
                    total += t.byteSize();
                }
                old.remove(folder.resolve(shard));
            }
            ShardIndex.write(folder.resolve(INDEX), shardOf, total);
            old.remove(folder.resolve(INDEX));
        }
        for (Path file : old) delete(file);
    }

    private static List<TensorSource> order(Path file, List<TensorSource> tensors) {
        Set<String> names = new HashSet<>();
        for (TensorSource t : tensors) {
            if (!names.add(t.name())) throw CheckpointException.tensor(file, t.name(), "was given twice");
            if (t.name().equals(SafetensorsHeader.METADATA))
                throw CheckpointException.tensor(file, t.name(), "has the name kept for the metadata");
            if (t.shape().size() * t.type().bits() % 8 != 0) throw CheckpointException.tensor(file, t.name(), "does not fill whole bytes");
        }
        return tensors.stream().sorted(Comparator.comparing(TensorSource::type).thenComparing(TensorSource::name, Safetensors::byUtf8))
                .toList();
    }

    /// Rust compares strings by their bytes; Java by UTF-16 units, which differs beyond U+FFFF.
    private static int byUtf8(String a, String b) {
        return Arrays.compareUnsigned(a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] header(List<TensorSource> tensors, Map<String, String> metadata) {
        var text = new StringWriter();
        try (var json = new JsonFactory().createGenerator(text)) {
            json.writeStartObject();
            if (!metadata.isEmpty()) {
                json.writeObjectFieldStart(SafetensorsHeader.METADATA);
                for (var e : new TreeMap<>(metadata).entrySet()) json.writeStringField(e.getKey(), e.getValue());
                json.writeEndObject();
            }
            long offset = 0;
            for (TensorSource t : tensors) {
                json.writeObjectFieldStart(t.name());
                json.writeStringField("dtype", t.type().name());
                json.writeFieldName("shape");
                json.writeArray(t.shape().dims(), 0, t.shape().rank());
                json.writeFieldName("data_offsets");
                json.writeArray(new long[] {offset, offset += t.byteSize()}, 0, 2);
                json.writeEndObject();
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        byte[] padded = Arrays.copyOf(bytes, (bytes.length + 7) / 8 * 8);
        Arrays.fill(padded, bytes.length, padded.length, (byte) ' ');
        return padded;
    }

    private static List<List<TensorSource>> split(List<TensorSource> tensors, long maxBytes) {
        List<List<TensorSource>> shards = new ArrayList<>(List.of(new ArrayList<>()));
        long filled = 0;
        for (TensorSource t : tensors) {
            if (filled + t.byteSize() > maxBytes && !shards.getLast().isEmpty()) {
                shards.add(new ArrayList<>());
                filled = 0;
            }
            shards.getLast().add(t);
            filled += t.byteSize();
        }
        return shards;
    }

    /// The files of a model in safetensors that are in the folder already.
    private static Set<Path> written(Path folder) {
        if (!Files.isDirectory(folder)) return new HashSet<>();
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.getFileName().toString().matches("model(-\\d{5}-of-\\d{5})?\\.safetensors(\\.index\\.json)?"))
                    .collect(Collectors.toSet());
        } catch (IOException e) {
            throw new CheckpointException(folder, "cannot be listed: " + e.getMessage(), e);
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new CheckpointException(file, "is left from an earlier model and cannot be deleted: " + e.getMessage(), e);
        }
    }
}
