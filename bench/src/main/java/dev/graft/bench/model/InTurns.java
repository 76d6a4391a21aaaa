package dev.graft.bench.model;

import dev.graft.bench.Beside;
import dev.graft.models.generate.Session;
import java.util.Optional;
import java.util.function.Consumer;

/// Two sessions that go the same way, step by step in turn: the measured one's tokens are those of its baseline too. Each step's time is its own; what one leaves behind in caches, each pays for
/// half of the time.
final class InTurns implements Session {
    private final Session own;
    private final Session baseline;
    private boolean baselineFirst;
    private float[][] logits;

    InTurns(Session own, Session baseline, boolean baselineFirst) {
        this.own = own;
        this.baseline = baseline;
        this.baselineFirst = baselineFirst;
        logits = own.logits();
    }

    private void step(Consumer<Session> step) {
        if (baselineFirst) Beside.baseline(() -> stepped(baseline, step));
        Beside.own(() -> logits = stepped(own, step));
        if (!baselineFirst) Beside.baseline(() -> stepped(baseline, step));
    }

    private static float[][] stepped(Session session, Consumer<Session> step) {
        step.accept(session);
        return session.logits();
    }

    @Override
    public float[][] logits() {
        return logits;
    }

    @Override
    public Optional<String> failure(int row) {
        return own.failure(row);
    }

    @Override
    public void advance(int[] ids) {
        step(session -> session.advance(ids));
        baselineFirst = !baselineFirst;                                          // after a token, so that moving rows has its turns, too
    }

    @Override
    public void reorder(int[] rows) {
        step(session -> session.reorder(rows));
    }

    @Override
    public void close() {
        own.close();
        baseline.close();
    }
}
