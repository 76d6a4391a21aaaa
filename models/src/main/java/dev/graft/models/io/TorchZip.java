package dev.graft.models.io;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32;

/// Writes what `torch.save(state_dict, file)` writes since torch 1.6 (read by [Checkpoint]): a zip without compression.
///
/// ```
/// archive/data.pkl              OrderedDict of name -> _rebuild_tensor_v2(storage "0", 0, size, stride, False, OrderedDict())
/// archive/.format_version       1
/// archive/.storage_alignment    64
/// archive/byteorder             little
/// archive/data/0, 1, …          the tensors, each at a multiple of 64 bytes so that it can be mapped
/// archive/version               3
/// ```
public final class TorchZip {
    private static final String TOP = "archive/";
    private static final int ALIGNMENT = 64;

    private TorchZip() {}

    /// Writes one file, [atomically][AtomicFile], tensors in the order given. Types that torch has no storage class for are refused.
    public static void write(Path file, List<TensorSource> tensors) {
        byte[] pickle = pickle(file, tensors);
        AtomicFile.write(file, channel -> {
            var zip = new Writer(channel);
            zip.text("data.pkl", pickle);
            zip.text(".format_version", ascii("1"));
            zip.text(".storage_alignment", ascii(Integer.toString(ALIGNMENT)));
            zip.text("byteorder", ascii("little"));
            for (int i = 0; i < tensors.size(); i++) {
                TensorSource tensor = tensors.get(i);
                zip.entry("data/" + i, tensor.byteSize(), () -> TensorOutput.write(file, channel, tensor));
            }
            zip.text("version", ascii("3\n"));
            zip.end();
        });
    }

    private static byte[] pickle(Path file, List<TensorSource> tensors) {
        Set<String> names = new HashSet<>();
        var pickle = new PickleWriter();
        pickle.op(0x80).op(2);                                               // PROTO 2
        pickle.emptyOrderedDict();
        for (int i = 0; i < tensors.size(); i++) {
            TensorSource t = tensors.get(i);
            if (!names.add(t.name())) throw CheckpointException.tensor(file, t.name(), "was given twice");
            String storage = TorchGlobals.STORAGES.get(t.type());
            if (storage == null)
                throw CheckpointException.tensor(file, t.name(),
                        "is " + t.type() + ", which a torch file has no storage class for; safetensors has it");
            pickle.text(t.name());
            pickle.global("torch._utils", "_rebuild_tensor_v2").op('(');
            pickle.op('(').text("storage").global("torch", storage).text(Integer.toString(i)).text("cpu").number(t.shape().size()).op('t')
                    .op('Q');
            pickle.number(0);
            pickle.op('(');
            for (int size : t.shape().dims()) pickle.number(size);
            pickle.op('t').op('(');
            for (long stride : t.shape().strides()) pickle.number(stride);
            pickle.op('t').op(0x89);                                         // NEWFALSE: requires_grad
            pickle.emptyOrderedDict();                                       // backward hooks
            pickle.op('t').op('R');
            pickle.op('s');                                                  // SETITEM
        }
        return pickle.op('.').bytes();
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static final class PickleWriter {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        PickleWriter op(int opcode) {
            out.write(opcode);
            return this;
        }

        PickleWriter text(String text) {                                     // BINUNICODE
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            op('X').little(utf8.length, 4);
            out.writeBytes(utf8);
            return this;
        }

        PickleWriter global(String module, String name) {
            op('c');
            out.writeBytes(ascii(module + "\n" + name + "\n"));
            return this;
        }

        PickleWriter number(long n) {                                        // BININT if it fits, else LONG1
            return n <= Integer.MAX_VALUE ? op('J').little(n, 4) : op(0x8a).op(8).little(n, 8);
        }

        void emptyOrderedDict() {
            global("collections", "OrderedDict").op(')').op('R');
        }

        byte[] bytes() {
            return out.toByteArray();
        }

        private PickleWriter little(long n, int bytes) {
            for (int i = 0; i < bytes; i++) op((int) (n >>> 8 * i));
            return this;
        }
    }

    /// What fills an entry; gives the checksum of what it wrote.
    @FunctionalInterface
    private interface Content {
        long write() throws IOException;
    }

    /// A zip of stored entries. Sizes and offsets are always given in zip64 fields, so there is one form for small and large.
    private static final class Writer {
        private static final int MAX16 = 0xffff, MAX32 = 0xffffffff, VERSION = 45, UTF8_NAMES = 1 << 11;
        private static final int DOS_DATE = 1 << 5 | 1; // 1 January 1980: the same tensors give the same bytes

        private record Written(byte[] name, long crc, long size, long offset) {}

        private final FileChannel channel;
        private final List<Written> entries = new ArrayList<>();

        Writer(FileChannel channel) {
            this.channel = channel;
        }

        void text(String name, byte[] content) throws IOException {
            entry(name, content.length, () -> {
                put(ByteBuffer.wrap(content));
                var crc = new CRC32();
                crc.update(content);
                return crc.getValue();
            });
        }

        void entry(String relative, long size, Content content) throws IOException {
            byte[] name = ascii(TOP + relative);
            long offset = channel.position(), afterZip64 = offset + 30 + name.length + 20 + 4;
            int padding = (int) (-afterZip64 & ALIGNMENT - 1);
            ByteBuffer header = little(30 + name.length + 20 + 4 + padding);
            header.putInt(0x04034b50).putShort((short) VERSION).putShort((short) UTF8_NAMES).putShort((short) 0).putShort((short) 0)
                    .putShort((short) DOS_DATE);
            header.putInt(0).putInt(MAX32).putInt(MAX32).putShort((short) name.length).putShort((short) (20 + 4 + padding)).put(name);
            header.putShort((short) 1).putShort((short) 16).putLong(size).putLong(size);
            header.put((byte) 'F').put((byte) 'B').putShort((short) padding); // the extra field torch pads with
            while (header.hasRemaining()) header.put((byte) 'Z');
            put(header.flip());

            long crc = content.write();
            ByteBuffer late = little(4).putInt((int) crc).flip();
            while (late.hasRemaining()) channel.write(late, offset + 14 + late.position());
            entries.add(new Written(name, crc, size, offset));
        }

        void end() throws IOException {
            long start = channel.position();
            for (Written e : entries) {
                ByteBuffer central = little(46 + e.name.length + 28);
                central.putInt(0x02014b50).putShort((short) VERSION).putShort((short) VERSION).putShort((short) UTF8_NAMES)
                        .putShort((short) 0).putShort((short) 0).putShort((short) DOS_DATE);
                central.putInt((int) e.crc).putInt(MAX32).putInt(MAX32).putShort((short) e.name.length).putShort((short) 28);
                central.putShort((short) 0).putShort((short) 0).putShort((short) 0).putInt(0).putInt(MAX32).put(e.name);
                central.putShort((short) 1).putShort((short) 24).putLong(e.size).putLong(e.size).putLong(e.offset);
                put(central.flip());
            }
            long end64 = channel.position();
            ByteBuffer end = little(56 + 20 + 22);
            end.putInt(0x06064b50).putLong(44).putShort((short) VERSION).putShort((short) VERSION).putInt(0).putInt(0);
            end.putLong(entries.size()).putLong(entries.size()).putLong(end64 - start).putLong(start);
            end.putInt(0x07064b50).putInt(0).putLong(end64).putInt(1);
            end.putInt(0x06054b50).putShort((short) 0).putShort((short) 0).putShort((short) MAX16).putShort((short) MAX16).putInt(MAX32)
                    .putInt(MAX32).putShort((short) 0);
            put(end.flip());
        }

        private void put(ByteBuffer buffer) throws IOException {
            while (buffer.hasRemaining()) channel.write(buffer);
        }

        private static ByteBuffer little(int size) {
            return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        }
    }
}
