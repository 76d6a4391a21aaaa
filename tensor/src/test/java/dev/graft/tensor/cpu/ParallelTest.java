package dev.graft.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 60, unit = TimeUnit.SECONDS)
class ParallelTest {
    private final int threads = Parallel.threads();

    @AfterEach
    void threadsAsBefore() {
        Parallel.threads(threads);
    }

    @Test
    void everyIndexIsHandledOnceAndPartsBeginAtGrains() {
        for (int threads : new int[] {1, 2, 3, 8}) {
            Parallel.threads(threads);
            for (int n : new int[] {1, 2, 7, 16, 97, 1000}) {
                for (int grain : new int[] {1, 3, 16, 2000}) {
                    AtomicIntegerArray seen = new AtomicIntegerArray(n);
                    AtomicInteger parts = new AtomicInteger();
                    Parallel.range(n, grain, (from, to) -> {
                        parts.incrementAndGet();
                        assertThat(from % grain).isZero();
                        assertThat(to == n || to % grain == 0).isTrue();
                        for (long i = from; i < to; i++) {
                            seen.incrementAndGet((int) i);
                        }
                    });
                    assertThat(parts.get()).isEqualTo(threads == 1 ? 1 : Math.min(8 * threads, Math.ceilDiv(n, grain)));
                    for (int i = 0; i < n; i++) {
                        assertThat(seen.get(i)).isEqualTo(1);
                    }
                }
            }
        }
    }

    @Test
    void nothingRunsForAnEmptyRange() {
        Parallel.range(0, 1, (from, to) -> {
            throw new AssertionError();
        });
    }

    @Test
    void partsRunAtTheSameTime() {
        Parallel.threads(3);
        CyclicBarrier all = new CyclicBarrier(3);
        Set<Thread> seen = ConcurrentHashMap.newKeySet();
        Parallel.range(3, 1, (from, to) -> {
            seen.add(Thread.currentThread());
            try {
                all.await(20, TimeUnit.SECONDS); // breaks unless three threads meet here
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        assertThat(seen).hasSize(3).contains(Thread.currentThread());
    }

    @Test
    void workersSleepAndWake() throws InterruptedException {
        Parallel.threads(2);
        for (int i = 0; i < 50; i++) {
            AtomicLong sum = new AtomicLong();
            Parallel.range(100, 1, (from, to) -> sum.addAndGet(to - from));
            assertThat(sum.get()).isEqualTo(100);
            Thread.sleep(i % 3); // sometimes long enough for a worker to park
        }
    }

    @Test
    void aNestedRangeRunsOnTheThreadItIsCalledFrom() {
        Parallel.threads(3);
        AtomicLong sum = new AtomicLong();
        Parallel.range(6, 1, (from, to) -> {
            Thread outer = Thread.currentThread();
            Parallel.range(1000, 1, (a, b) -> {
                assertThat(Thread.currentThread()).isSameAs(outer);
                sum.addAndGet((to - from) * (b - a));
            });
        });
        assertThat(sum.get()).isEqualTo(6000);
    }

    @Test
    void callersOnSeveralThreadsAllGetTheirWorkDone() throws InterruptedException {
        Parallel.threads(3);
        AtomicLong sum = new AtomicLong();
        List<Thread> callers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            callers.add(Thread.ofPlatform().start(() -> {
                for (int k = 0; k < 500; k++) {
                    Parallel.range(64, 1, (from, to) -> sum.addAndGet(to - from));
                }
            }));
        }
        for (Thread caller : callers) {
            caller.join();
        }
        assertThat(sum.get()).isEqualTo(4 * 500 * 64);
    }

    @Test
    void whatAPartThrowsIsThrownAfterAllPartsHaveEnded() {
        Parallel.threads(3);
        for (int bad = 0; bad < 3; bad++) {
            int which = bad;
            Queue<Long> ended = new ConcurrentLinkedQueue<>();
            assertThatThrownBy(() -> Parallel.range(3, 1, (from, to) -> {
                if (from == which) {
                    throw new IllegalStateException("part " + which);
                }
                try {
                    Thread.sleep(20);
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
                ended.add(from);
            })).isInstanceOf(IllegalStateException.class).hasMessage("part " + which);
            assertThat(ended).hasSize(2);
        }
        assertThatThrownBy(() -> Parallel.range(3, 1, (from, to) -> {
            throw new IllegalArgumentException("part " + from);
        })).hasMessage("part 0");
        assertThatThrownBy(() -> Parallel.range(3, 1, (from, to) -> {
            throw new StackOverflowError();
        })).isInstanceOf(StackOverflowError.class);
        AtomicLong sum = new AtomicLong();
        Parallel.range(30, 1, (from, to) -> sum.addAndGet(to - from));
        assertThat(sum.get()).isEqualTo(30);
    }

    @Test
    void anInterruptedCallerStillWaitsAndStaysInterrupted() {
        Parallel.threads(2);
        AtomicInteger ended = new AtomicInteger();
        Thread.currentThread().interrupt();
        Parallel.range(2, 1, (from, to) -> {
            long until = System.nanoTime() + 30_000_000;
            while (from == 1 && System.nanoTime() < until) {
                Thread.onSpinWait();
            }
            ended.incrementAndGet();
        });
        assertThat(ended.get()).isEqualTo(2);
        assertThat(Thread.interrupted()).isTrue();
    }

    @Test
    void saysWhatNumbersOfThreadsThereAre() {
        assertThatThrownBy(() -> Parallel.threads(0)).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("threads must be in 1..1024, got 0");
        assertThatThrownBy(() -> Parallel.range(5, 0, (from, to) -> {})).hasMessage("grain must be positive, got 0");
    }
}
