package dev.graft.cuda;

import dev.graft.cuda.driver.Driver;
import java.lang.foreign.MemorySegment;

/// Copies between the host's memory and a device's, by way of page-locked memory that the device can reach: two pieces, so that one is filled while the other is under way.
///
/// What goes to the device lies one behind another in a piece, and the host waits only when a piece is used again. So small copies can be part of a graph.
final class Staging {
    private static final long PIECE = 4L << 20, ALIGNMENT = 16;

    private final Driver driver;
    private final long stream;
    private final Recording recording;
    private final MemorySegment[] pieces = new MemorySegment[2];
    private final long[] events = new long[2];
    private int current;
    private long used;

    Staging(Driver driver, long stream, Recording recording) {
        this.driver = driver;
        this.stream = stream;
        this.recording = recording;
        for (int i = 0; i < 2; i++) {
            pieces[i] = driver.allocateHost(PIECE);
            events[i] = driver.createEvent();
        }
    }

    /// Returns when `from` may be changed, before the copy has been made.
    synchronized void toDevice(MemorySegment from, long to) {
        long bytes = from.byteSize();
        for (long at = 0; at < bytes;) {
            if (used == PIECE) turn();
            long n = Math.min(PIECE - used, bytes - at);
            MemorySegment place = pieces[current].asSlice(used, n);
            place.copyFrom(from.asSlice(at, n));
            driver.copyToDevice(to + at, place, n, stream);
            at += n;
            used = Math.ceilDiv(used + n, ALIGNMENT) * ALIGNMENT;
        }
    }

    /// Goes on to the other piece, when what was in it has gone.
    private void turn() {
        recording.flush();
        driver.record(events[current], stream);
        current = 1 - current;
        driver.synchronizeEvent(events[current]);
        used = 0;
    }

    /// Returns when all is there and, if there is anything, all that was asked before has been done.
    synchronized void toHost(long from, MemorySegment to) {
        long bytes = to.byteSize();
        if (bytes == 0) return;
        used = 0;
        for (int i = 0; i < 2 && i * PIECE < bytes; i++) ask(from, bytes, i);
        for (long i = 0; i * PIECE < bytes; i++) {
            int piece = (int) (i % 2);
            driver.synchronizeEvent(events[piece]);
            MemorySegment.copy(pieces[piece], 0, to, i * PIECE, Math.min(PIECE, bytes - i * PIECE));
            if ((i + 2) * PIECE < bytes) ask(from, bytes, i + 2);
        }
    }

    private void ask(long from, long bytes, long i) {
        int piece = (int) (i % 2);
        driver.copyToHost(pieces[piece], from + i * PIECE, Math.min(PIECE, bytes - i * PIECE), stream);
        driver.record(events[piece], stream);
    }
}
