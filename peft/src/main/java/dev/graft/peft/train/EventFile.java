package dev.graft.peft.train;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.zip.CRC32C;

/// A file of events as TensorBoard reads it: TFRecords that hold protocol buffers, both small enough to write by hand.
///
/// ```
/// record     u64 length · u32 mask(crc32c(length)) · bytes · u32 mask(crc32c(bytes))          little-endian
/// mask(c)    rotate right by 15, plus 0xa282ead8
/// bytes      Event { 1: double wall_time  2: int64 step  3: string file_version  5: Summary  7: SessionLog { 1: status } }
///            Summary { 1: repeated Value { 1: string tag  2: float simple_value } }
/// ```
final class EventFile implements AutoCloseable {
    private static final int STARTED = 1; // SessionLog.START

    private final OutputStream out;

    /// A new file. TensorBoard forgets what files before it say about `firstStep` and later ones.
    EventFile(Path file, long firstStep) throws IOException {
        this.out = Files.newOutputStream(file);
        write(new Message().text(3, "brain.Event:2"), 0);
        write(new Message().nested(7, new Message().number(1, STARTED)), firstStep);
    }

    void scalars(long step, Map<String, Double> values) throws IOException {
        Message summary = new Message();
        values.forEach((tag, value) -> summary.nested(1, new Message().text(1, tag).real(2, value.floatValue())));
        write(new Message().nested(5, summary), step);
        out.flush();
    }

    private void write(Message content, long step) throws IOException {
        byte[] event = new Message().real(1, System.currentTimeMillis() / 1e3).number(2, step).append(content).bytes();
        ByteBuffer record = ByteBuffer.allocate(16 + event.length).order(ByteOrder.LITTLE_ENDIAN);
        record.putLong(event.length).putInt(masked(record.array(), 0, 8)).put(event).putInt(masked(event, 0, event.length));
        out.write(record.array());
    }

    private static int masked(byte[] bytes, int from, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, from, length);
        return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
    }

    @Override
    public void close() throws IOException {
        out.close();
    }

    /// A protocol buffer under construction: fields, each a key (number and wire type) and a value.
    private static final class Message {
        private ByteBuffer buffer = ByteBuffer.allocate(128).order(ByteOrder.LITTLE_ENDIAN);

        Message number(int field, long value) {
            return key(field, 0).varint(value);
        }

        Message real(int field, double value) {
            key(field, 1).room(8).putDouble(value);
            return this;
        }

        Message real(int field, float value) {
            key(field, 5).room(4).putFloat(value);
            return this;
        }

        Message text(int field, String value) {
            return sized(field, value.getBytes(StandardCharsets.UTF_8));
        }

        Message nested(int field, Message value) {
            return sized(field, value.bytes());
        }

        Message append(Message other) {
            byte[] fields = other.bytes();
            room(fields.length).put(fields);
            return this;
        }

        private Message sized(int field, byte[] value) {
            key(field, 2).varint(value.length).room(value.length).put(value);
            return this;
        }

        private Message key(int field, int wireType) {
            return varint((long) field << 3 | wireType);
        }

        /// Seven bits a byte, lowest first; the eighth says that more follow.
        private Message varint(long value) {
            ByteBuffer to = room(10);
            for (; (value & ~0x7FL) != 0; value >>>= 7) to.put((byte) (value & 0x7F | 0x80));
            to.put((byte) value);
            return this;
        }

        private ByteBuffer room(int bytes) {
            if (buffer.remaining() < bytes) {
                ByteBuffer larger = ByteBuffer.allocate(2 * (buffer.position() + bytes)).order(ByteOrder.LITTLE_ENDIAN);
                buffer = larger.put(buffer.flip());
            }
            return buffer;
        }

        byte[] bytes() {
            byte[] bytes = new byte[buffer.position()];
            buffer.get(0, bytes);
            return bytes;
        }
    }
}
