package dev.graft.tensor.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/// The one thread pool of the CPU backend.
///
/// [#range] cuts an index range into as many equal parts as there are threads and runs them at once, the caller taking the first. Workers
/// spin for some microseconds after a part, since the next op usually follows, and then park. Two pools that spin would fight for the
/// cores, so there is no second one.
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
            int parts = (int) Math.min(threads, grains);
            if (parts == 1) {
                body.run(0, n);
            } else {
                new Job(n, grain, grains, parts, body).run();
            }
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

    /// The workers `1..parts-1`; called by the holder of the pool.
    private static Worker[] workers(int parts) {
        if (workers.length < parts - 1) {
            Worker[] more = new Worker[parts - 1];
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
            this.unfinished = new AtomicInteger(parts - 1);
        }

        void run() {
            Worker[] helpers = workers(parts);
            for (int part = 1; part < parts; part++) {
                helpers[part - 1].take(this);
            }
            part(0);
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

        /// The i-th of `parts` stretches of whole grains, equal to within one.
        void part(int i) {
            try {
                body.run(grains * i / parts * grain, Math.min(n, grains * (i + 1) / parts * grain));
            } catch (Throwable t) {
                thrown[i] = t;
            }
        }

        void helped(int part) {
            part(part);
            if (unfinished.decrementAndGet() == 0 && callerParked) {
                LockSupport.unpark(caller);
            }
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
        private final int part;
        private volatile Job job;
        private volatile boolean parked;

        Worker(int part) {
            super(null, null, "graft-cpu-" + part, 0, false); // inherits nothing from whoever came first
            this.part = part;
            setDaemon(true);
        }

        void take(Job next) {
            job = next;
            if (parked) {
                LockSupport.unpark(this);
            }
        }

        @Override
        public void run() {
            while (true) {
                Job next = await();
                job = null; // before helped(), after which the next job may come
                next.helped(part);
            }
        }

        private Job await() {
            long begin = System.nanoTime();
            while (true) {
                Job next = job;
                if (next != null) {
                    parked = false;
                    return next;
                }
                if (System.nanoTime() - begin < SPIN_NANOS) {
                    Thread.onSpinWait();
                    continue;
                }
                parked = true;
                if (job == null) {
                    LockSupport.park(this);
                }
            }
        }
    }
}
