package dev.graft.models.io;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/// Puts torch files together by hand, right or wrong: the pickle opcode by opcode, the zip by `java.util.zip`, which shares no code with ours.
final class TorchFile {
    private final ByteArrayOutputStream pickle = new ByteArrayOutputStream();
    private final Map<String, byte[]> entries = new LinkedHashMap<>();
    private boolean compressed;

    /// Begins a protocol 2 pickle with an empty dictionary on the stack.
    static TorchFile dictionary() {
        return new TorchFile().op(0x80, 2, '}');
    }

    static TorchFile of(byte[] pickle) {
        var file = new TorchFile();
        file.pickle.writeBytes(pickle);
        return file;
    }

    TorchFile op(int... opcodes) {
        for (int opcode : opcodes) pickle.write(opcode);
        return this;
    }

    TorchFile text(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        op('X').little(utf8.length, 4);
        pickle.writeBytes(utf8);
        return this;
    }

    TorchFile number(long n) {
        return op(0x8a, 8).little(n, 8);
    }

    TorchFile numbers(long... numbers) {
        op('(');
        for (long n : numbers) number(n);
        return op('t');
    }

    TorchFile global(String module, String name) {
        op('c');
        pickle.writeBytes((module + "\n" + name + "\n").getBytes(StandardCharsets.UTF_8));
        return this;
    }

    TorchFile storage(String type, String key, long elements) {
        return op('(').text("storage").global("torch", type).text(key).text("cpu").number(elements).op('t', 'Q');
    }

    /// Sets `name` to a view of a float storage.
    TorchFile tensor(String name, String key, long elements, long offset, long[] size, long[] stride) {
        text(name).global("torch._utils", "_rebuild_tensor_v2").op('(').storage("FloatStorage", key, elements);
        number(offset).numbers(size).numbers(stride).op(0x89);
        return global("collections", "OrderedDict").op(')', 'R', 't', 'R', 's');
    }

    TorchFile entry(String name, byte[] content) {
        entries.put(name, content);
        return this;
    }

    TorchFile floats(String key, float... values) {
        var bytes = java.nio.ByteBuffer.allocate(4 * values.length).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        for (float v : values) bytes.putFloat(v);
        return entry("data/" + key, bytes.array());
    }

    TorchFile compressed() {
        compressed = true;
        return this;
    }

    byte[] pickle() {
        return pickle.toByteArray();
    }

    /// The file, its pickle ended with STOP.
    byte[] stopped() {
        op('.');
        return bytes();
    }

    byte[] bytes() {
        var out = new ByteArrayOutputStream();
        try (var zip = new ZipOutputStream(out)) {
            put(zip, "data.pkl", pickle.toByteArray());
            for (var e : entries.entrySet()) put(zip, e.getKey(), e.getValue());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    private void put(ZipOutputStream zip, String name, byte[] content) throws IOException {
        var entry = new ZipEntry("archive/" + name);
        if (!compressed) {
            var crc = new CRC32();
            crc.update(content);
            entry.setMethod(ZipEntry.STORED);
            entry.setSize(content.length);
            entry.setCrc(crc.getValue());
        }
        zip.putNextEntry(entry);
        zip.write(content);
        zip.closeEntry();
    }

    private TorchFile little(long n, int bytes) {
        for (int i = 0; i < bytes; i++) op((int) (n >>> 8 * i) & 0xff);
        return this;
    }
}
