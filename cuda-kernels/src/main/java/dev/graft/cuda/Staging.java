package dev.graft.cuda;

import dev.graft.cuda.driver.Driver;
import java.lang.foreign.MemorySegment;

/// Copies between the host's memory and a device's, by way of page-locked memory that the device can reach: two pieces, so that one is filled while the other is under way.
final class Staging {
    private static final long PIECE = 4L << 20;

    private final Driver driver;
    private final long stream;
    private final MemorySegment[] pieces = new MemorySegment[2];
    private final long[] events = new long[2];
    private int next;

    Staging(Driver driver, long stream) {
        this.driver = driver;
        this.stream = stream;
        for (int i = 0; i < 2; i++) {
            pieces[i] = driver.allocateHost(PIECE);
            events[i] = driver.createEvent();
        }
    }

    /// Returns when `from` may be changed, before the copy has been made.
    synchronized void toDevice(MemorySegment from, long to) {
        long bytes = from.byteSize();
        for (long at = 0; at < bytes; at += PIECE) {
            long n = Math.min(PIECE, bytes - at);
            driver.synchronizeEvent(events[next]);                               // what was in the piece before has gone
            MemorySegment.copy(from, at, pieces[next], 0, n);
            driver.copyToDevice(to + at, pieces[next], n, stream);
            driver.record(events[next], stream);
            next = 1 - next;
        }
    }

    /// Returns when all is there.
    synchronized void toHost(long from, MemorySegment to) {
        long bytes = to.byteSize();
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
