package dev.graft.models.io;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// Text that must be what it says it is: a malformed byte is an error, not a replacement character.
final class Utf8 {
    private Utf8() {}

    static String decode(Path file, String what, byte[] bytes) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString(); // a new decoder reports errors
        } catch (CharacterCodingException e) {
            throw new CheckpointException(file, "has " + what + " that is not UTF-8: " + e.getMessage(), e);
        }
    }
}
