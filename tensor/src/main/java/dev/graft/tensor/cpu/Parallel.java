package dev.graft.tensor.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/// The one thread pool of the CPU backend.
///
/// [#range] cuts an index range into a few equal parts a thread. The caller takes parts from the front and the workers from the back until
/// none is left: a thread goes on where it was in memory, and one that the system wakes late, or takes a core from, delays the others by a
/// part at most. Workers spin for some microseconds after a range, since the next op usually follows, and then park. Two pools that spin
/// would fight for the cores, so there is no second one.
///
/// The number of threads comes from the system property `graft.threads` (default: the available processors) and can be changed by
/// [#threads(int)]. It must never show in a result: a body may depend on the part it is given only in which indices it handles.
public final class Parallel {
    /// Work on the indices `[from, to)`.
    @FunctionalInterface
    public interface Body {
        void run(long from, long to);
    }

    private static final long SPIN_NANOS = 30_000;
    private static final int PARTS = 8;
    private static final int MOST_THREADS = 1024;

    private static final ReentrantLock POOL = new ReentrantLock();
    private static Worker[] workers = {};
    private static volatile int threads = configured();

    private Parallel() {}

    /// How many threads share the work, the caller included.
    public static int threads() {
        return threads;
    }

    /// Sets the number of threads, the caller included; waits for a range that is under way.
    public static void threads(int count) {
        if (count < 1 || count > MOST_THREADS) {
            throw new IllegalArgumentException("threads must be in 1.." + MOST_THREADS + ", got " + count);
        }
        POOL.lock();
        try {
            threads = count;
        } finally {
            POOL.unlock();
        }
    }

    /// Runs `body` over `[0, n)`, in parts that begin at multiples of `grain`, and returns when all is done.
    ///
    /// A range of up to `grain` indices runs on the caller alone, so `grain` is the least work that pays for a thread (tens of
    /// microseconds). Every part but the last has a multiple of `grain` indices: a body that treats its remainder apart (a vector loop
    /// and its tail) does so at the end of the range only, whatever the number of threads.
    ///
    /// Called from within a body it runs on the calling thread; so it does when another thread is using the pool. What a body throws is
    /// thrown here, after all parts have ended; if several throw, the first part's.
    public static void range(long n, long grain, Body body) {
        if (grain < 1) {
            throw new IllegalArgumentException("grain must be positive, got " + grain);
        }
        if (n <= 0) {
            return;
        }
        long grains = (n - 1) / grain + 1;
        if (grains == 1 || threads == 1 || Thread.currentThread() instanceof Worker || POOL.isHeldByCurrentThread() || !POOL.tryLock()) {
            body.run(0, n);
            return;
        }
        try {
            new Job(n, grain, grains, (int) Math.min((long) threads * PARTS, grains), body).run();
        } finally {
            POOL.unlock();
        }
    }

    private static int configured() {
        String wanted = System.getProperty("graft.threads", "").strip();
        if (wanted.isEmpty()) {
            return Math.min(Runtime.getRuntime().availableProcessors(), MOST_THREADS);
        }
        if (!wanted.matches("[1-9][0-9]{0,3}") || Integer.parseInt(wanted) > MOST_THREADS) {
            throw new IllegalArgumentException("graft.threads must be in 1.." + MOST_THREADS + ", got '" + wanted + "'");
        }
        return Integer.parseInt(wanted);
    }

    /// At least `count` workers; called by the holder of the pool.
    private static Worker[] workers(int count) {
        if (workers.length < count) {
            Worker[] more = new Worker[count];
            System.arraycopy(workers, 0, more, 0, workers.length);
            for (int i = workers.length; i < more.length; i++) {
                more[i] = new Worker(i + 1);
                more[i].start();
            }
            workers = more;
        }
        return workers;
    }

    /// One call of [#range].
    private static final class Job {
        private final long n;
        private final long grain;
        private final long grains;
        private final int parts;
        private final Body body;
        private final Throwable[] thrown;
        private final AtomicInteger taken = new AtomicInteger();
        private final AtomicInteger takenByWorkers = new AtomicInteger();
        private final AtomicInteger unfinished;
        private final Thread caller = Thread.currentThread();
        private volatile boolean callerParked;

        Job(long n, long grain, long grains, int parts, Body body) {
            this.n = n;
            this.grain = grain;
            this.grains = grains;
            this.parts = parts;
            this.body = body;
            this.thrown = new Throwable[parts];
            this.unfinished = new AtomicInteger(parts);
        }

        void run() {
            int helpers = Math.min(threads, parts) - 1;
            Worker[] pool = workers(helpers);
            for (int i = 0; i < helpers; i++) {
                pool[i].take(this);
            }
            for (int i = 0; taken.getAndIncrement() < parts; i++) {
                part(i);
            }
            awaitHelpers();
            for (Throwable t : thrown) {
                switch (t) {
                    case null -> {}
                    case Error e -> throw e;
                    case RuntimeException e -> throw e;
                    default -> throw new IllegalStateException(t); // a checked exception thrown by stealth
                }
            }
        }

        /// What a worker does, who may come when all is over.
        void help() {
            while (taken.getAndIncrement() < parts) {
                if (part(parts - 1 - takenByWorkers.getAndIncrement()) && callerParked) {
                    LockSupport.unpark(caller);
                }
            }
        }

        /// The i-th of `parts` stretches of whole grains, equal to within one. Whether it was the last to end.
        private boolean part(int i) {
            try {
                body.run(grains * i / parts * grain, Math.min(n, grains * (i + 1) / parts * grain));
            } catch (Throwable t) {
                thrown[i] = t;
            }
            return unfinished.decrementAndGet() == 0;
        }

        /// Every part must have ended before the caller goes on, even by exception: the parts write to memory it may free.
        private void awaitHelpers() {
            long begin = System.nanoTime();
            boolean interrupted = false;
            while (unfinished.get() != 0) {
                if (System.nanoTime() - begin < SPIN_NANOS) {
                    Thread.onSpinWait();
                    continue;
                }
                callerParked = true;
                if (unfinished.get() != 0) {
                    LockSupport.park(this);
                    interrupted |= Thread.interrupted(); // park returns at once while the flag is set
                }
            }
            if (interrupted) {
                caller.interrupt();
            }
        }
    }

    private static final class Worker extends Thread {
        private final AtomicReference<Job> job = new AtomicReference<>();
        private volatile boolean parked;

        Worker(int number) {
            super(null, null, "graft-cpu-" + number, 0, false); // inherits nothing from whoever came first
            setDaemon(true);
        }

        /// Replaces a job that it has not begun, which is over.
        void take(Job next) {
            job.set(next);
            if (parked) {
                LockSupport.unpark(this);
            }
        }

        @Override
        public void run() {
            while (true) {
                await().help();
            }
        }

        private Job await() {
            long begin = System.nanoTime();
            while (true) {
                if (job.get() != null) {
                    parked = false;
                    return job.getAndSet(null);
                }
                if (System.nanoTime() - begin < SPIN_NANOS) {
                    Thread.onSpinWait();
                    continue;
                }
                parked = true;
                if (job.get() == null) {
                    LockSupport.park(this);
                }
            }
        }
    }
}
