package dev.graft.models.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/// Where the entries of a zip file lie (PKWARE APPNOTE 6.3, with zip64), for mapping them. `java.util.zip` knows the offsets but keeps them to
/// itself. Only stored entries can be mapped, so a compressed one is refused.
final class ZipDirectory {
    private static final int END = 0x06054b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50, CENTRAL = 0x02014b50, LOCAL = 0x04034b50;
    private static final long MAX16 = 0xffff, MAX32 = 0xffffffffL;

    private final Path file;
    private final MemorySegment zip;

    /// `data` is the entry's content, `crc` its checksum, 0 when the writer made none.
    record Part(String name, MemorySegment data, long crc) {}

    private record Central(String name, int flags, int method, long crc, long stored, long size, long local) {}

    private ZipDirectory(Path file, MemorySegment zip) {
        this.file = file;
        this.zip = zip;
    }

    /// The entries by name, in the order of the directory.
    static SequencedMap<String, Part> read(Path file, MemorySegment zip) {
        return new ZipDirectory(file, zip).read();
    }

    private SequencedMap<String, Part> read() {
        long end = findEnd(), count = u16(end + 10), size = u32(end + 12), start = u32(end + 16), limit = end;
        if (u16(end + 4) != 0 && u16(end + 4) != MAX16) throw problem("is one of several parts of a zip");
        if (end >= 20 && i32(end - 20) == LOCATOR64) {
            long end64 = i64(end - 12);
            if (end64 < 0 || end64 > end - 20 - 56 || i32(end64) != END64)
                throw problem("has a zip64 locator that points at no zip64 directory end");
            count = i64(end64 + 32);
            size = i64(end64 + 40);
            start = i64(end64 + 48);
            limit = end64;
        }
        if (start < 0 || size < 0 || start > limit || size > limit - start)
            throw problem("gives its directory a place outside the file: " + size + " bytes at " + start);
        if (count < 0 || count > size / 46) throw problem("counts " + count + " entries in a directory of " + size + " bytes");
        return readEntries(count, start, start + size);
    }

    private SequencedMap<String, Part> readEntries(long count, long start, long end) {
        SequencedMap<String, Part> parts = new LinkedHashMap<>();
        long at = start;
        for (long i = 0; i < count; i++) {
            if (end - at < 46 || i32(at) != CENTRAL) throw problem("has a directory whose entry " + i + " is damaged");
            long next = at + 46 + u16(at + 28) + u16(at + 30) + u16(at + 32);
            if (next > end) throw problem("has a directory whose entry " + i + " runs past its end");
            Central entry = central(at, next);
            if (parts.putIfAbsent(entry.name, locate(entry, start)) != null)
                throw problem("has the entry " + CheckpointException.quote(entry.name) + " twice");
            at = next;
        }
        if (at != end) throw problem("has " + (end - at) + " bytes after the last entry of its directory");
        checkOverlaps(parts);
        return parts;
    }

    private Central central(long at, long next) {
        long nameLength = u16(at + 28), extra = at + 46 + nameLength, extraEnd = extra + u16(at + 30);
        String name = text(at + 46, nameLength);
        long size = u32(at + 24), stored = u32(at + 20), local = u32(at + 42);
        if (size == MAX32 || stored == MAX32 || local == MAX32) {
            long field = zip64(name, extra, extraEnd), fieldEnd = field + u16(field - 2);
            if (size == MAX32) size = take64(name, (field += 8) - 8, fieldEnd);
            if (stored == MAX32) stored = take64(name, (field += 8) - 8, fieldEnd);
            if (local == MAX32) local = take64(name, field, fieldEnd);
        }
        return new Central(name, (int) u16(at + 8), (int) u16(at + 10), u32(at + 16), stored, size, local);
    }

    /// Where the content of the zip64 extra field begins.
    private long zip64(String name, long at, long end) {
        while (end - at >= 4) {
            long content = at + 4, length = u16(at + 2);
            if (length > end - content) break;
            if (u16(at) == 1) return content;
            at = content + length;
        }
        throw entry(name, "is marked as zip64 but has no zip64 field");
    }

    private long take64(String name, long at, long end) {
        if (end - at < 8) throw entry(name, "has a zip64 field that is too short");
        long value = i64(at);
        if (value < 0) throw entry(name, "has a zip64 field beyond 2^63");
        return value;
    }

    private Part locate(Central entry, long directory) {
        if ((entry.flags & 1) != 0) throw entry(entry.name, "is encrypted");
        if (entry.method != 0)
            throw entry(entry.name,
                    "is compressed (method " + entry.method + "); torch.save stores without compression, so save it again with torch.save");
        if (entry.stored != entry.size)
            throw entry(entry.name, "is stored without compression, yet in " + entry.stored + " bytes for " + entry.size);
        if (entry.local > directory - 30 || i32(entry.local) != LOCAL) throw entry(entry.name, "has no header at " + entry.local);
        long nameLength = u16(entry.local + 26), data = entry.local + 30 + nameLength + u16(entry.local + 28);
        if (data > directory || entry.size > directory - data)
            throw entry(entry.name, "has " + entry.size + " bytes at " + data + ", which runs into the directory at " + directory);
        if (!text(entry.local + 30, nameLength).equals(entry.name)) throw entry(entry.name, "has another name in its own header");
        return new Part(entry.name, zip.asSlice(data, entry.size), entry.crc);
    }

    private void checkOverlaps(SequencedMap<String, Part> parts) {
        List<Part> byPlace = parts.values().stream().filter(p -> p.data.byteSize() > 0)
                .sorted(Comparator.comparingLong(p -> p.data.address())).toList();
        for (int i = 1; i < byPlace.size(); i++) {
            MemorySegment before = byPlace.get(i - 1).data;
            if (before.address() + before.byteSize() > byPlace.get(i).data.address()) {
                throw entry(byPlace.get(i).name, "overlaps " + CheckpointException.quote(byPlace.get(i - 1).name));
            }
        }
    }

    /// The end record is the last thing in the file but for a comment of at most 64 KiB, whose length it gives.
    private long findEnd() {
        long last = zip.byteSize() - 22;
        for (long at = last; at >= 0 && at >= last - MAX16; at--) {
            if (i32(at) == END && u16(at + 20) == last - at) return at;
        }
        throw problem("begins like a zip but has no directory at its end; it is cut off");
    }

    private String text(long at, long length) {
        if (length > zip.byteSize() - at) throw problem("has a name that runs past its end");
        return Utf8.decode(file, "the name of a zip entry", zip.asSlice(at, length).toArray(JAVA_BYTE));
    }

    private long u16(long at) {
        return zip.get(LittleEndian.SHORT, at) & MAX16;
    }

    private int i32(long at) {
        return zip.get(LittleEndian.INT, at);
    }

    private long u32(long at) {
        return i32(at) & MAX32;
    }

    private long i64(long at) {
        return zip.get(LittleEndian.LONG, at);
    }

    private CheckpointException problem(String problem) {
        return new CheckpointException(file, problem);
    }

    private CheckpointException entry(String name, String problem) {
        return problem("zip entry " + CheckpointException.quote(name) + " " + problem);
    }
}
