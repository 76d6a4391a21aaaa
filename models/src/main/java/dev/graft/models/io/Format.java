package dev.graft.models.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;

/// Which kind of checkpoint a file is, by its first bytes and not by its name; what is known but not read is refused by its name.
enum Format {
    SAFETENSORS, TORCH_ZIP;

    private static final String SAVE_AGAIN = "load it with torch and save its state_dict again with torch.save (1.6 or later) or as safetensors";
    /// The integer 0x1950a86a20f9469cfc6c as a pickle of protocol 2.
    private static final byte[] LEGACY_MAGIC = HexFormat.of().parseHex("80028a0a6cfc9c46f9206aa850192e");

    static Format of(Path file, MemorySegment bytes) {
        if (starts(bytes, 8, "{")) return SAFETENSORS;
        if (starts(bytes, 0, "PK\3\4") || starts(bytes, 0, "PK\5\6")) return TORCH_ZIP;
        if (starts(bytes, 0, LEGACY_MAGIC)) {
            throw new CheckpointException(file,
                    "is in the legacy torch.save form (before torch 1.6: a sequence of pickles), which Graft does not read; " + SAVE_AGAIN);
        }
        if (starts(bytes, 257, "ustar")) {
            throw new CheckpointException(file,
                    "is a tar archive, the form torch.save had before 0.1.10, which Graft does not read; " + SAVE_AGAIN);
        }
        if (starts(bytes, 0, "version https://git-lfs")) {
            throw new CheckpointException(file, "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull");
        }
        if (starts(bytes, 0, "GGUF")) {
            throw new CheckpointException(file, "is a GGUF file, which Graft does not read; use the safetensors form of the model");
        }
        if (file.toString().endsWith(".safetensors")) return SAFETENSORS; // its reader says what is wrong with it
        if (starts(bytes, 0, new byte[] {(byte) 0x80})) {
            throw new CheckpointException(file, "is a bare pickle, not a torch zip; " + SAVE_AGAIN);
        }
        throw new CheckpointException(file, "is neither safetensors (byte 8 would be '{') nor a torch zip (it would begin with PK)");
    }

    private static boolean starts(MemorySegment bytes, long at, String text) {
        return starts(bytes, at, text.getBytes(StandardCharsets.ISO_8859_1));
    }

    private static boolean starts(MemorySegment bytes, long at, byte[] prefix) {
        if (bytes.byteSize() < at + prefix.length) return false;
        for (int i = 0; i < prefix.length; i++) if (bytes.get(JAVA_BYTE, at + i) != prefix[i]) return false;
        return true;
    }
}
