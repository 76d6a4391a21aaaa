package dev.graft.models.io;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.zip.CRC32;

/// Puts the bytes of tensors into files.
final class TensorOutput {
    private static final int CHUNK = 8 << 20;

    private TensorOutput() {}

    /// Asks the tensor for its bytes and appends them to the file. Returns their CRC-32, which a zip wants.
    static long write(Path file, FileChannel channel, TensorSource tensor) throws IOException {
        MemorySegment bytes = tensor.bytes().get();
        if (bytes.byteSize() != tensor.byteSize()) {
            throw CheckpointException.tensor(file, tensor.name(), "is " + tensor.type() + tensor.shape() + " and takes " + tensor.byteSize()
                    + " bytes; " + bytes.byteSize() + " were given");
        }
        var crc = new CRC32();
        for (long at = 0; at < bytes.byteSize(); at += CHUNK) {
            MemorySegment part = bytes.asSlice(at, Math.min(CHUNK, bytes.byteSize() - at));
            ByteBuffer buffer = part.isNative() ? part.asByteBuffer() : copy(part); // a float[] is memory too, but has no view as bytes
            crc.update(buffer.duplicate());
            while (buffer.hasRemaining()) channel.write(buffer);
        }
        return crc.getValue();
    }

    private static ByteBuffer copy(MemorySegment part) {
        ByteBuffer copy = ByteBuffer.allocateDirect((int) part.byteSize());
        MemorySegment.ofBuffer(copy).copyFrom(part);
        return copy;
    }
}
