package dev.graft.peft.train;

import java.util.concurrent.CountDownLatch;

/// Lets Ctrl-C and SIGTERM end a run with a checkpoint: while this is open, the process waits for the trainer to finish its step before it exits.
///
/// ```java
/// try (var _ = StopSignal.of(trainer)) {
///     result = trainer.fit(train, validation);
/// }
/// ```
public final class StopSignal implements AutoCloseable {
    private final CountDownLatch done = new CountDownLatch(1);
    private final Thread hook;

    private StopSignal(Trainer trainer) {
        hook = new Thread(() -> {
            trainer.stop();
            try {
                done.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }, "stop-training");
    }

    public static StopSignal of(Trainer trainer) {
        StopSignal signal = new StopSignal(trainer);
        Runtime.getRuntime().addShutdownHook(signal.hook);
        return signal;
    }

    @Override
    public void close() {
        done.countDown();
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The process is on its way out.
        }
    }
}
