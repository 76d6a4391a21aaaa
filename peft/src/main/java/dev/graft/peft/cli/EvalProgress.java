package dev.graft.peft.cli;

import dev.graft.peft.eval.EvalListener;
import dev.graft.peft.eval.Response;
import dev.graft.peft.eval.Task;
import java.io.Console;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/// Shows how far a test set is: a bar on a terminal, elsewhere a line every ten seconds.
final class EvalProgress implements EvalListener, AutoCloseable {
    private static final long INTERVAL = Duration.ofSeconds(10).toNanos();

    private final Task task;
    private final PrintWriter out;
    private final long start = System.nanoTime();
    private ProgressBar bar;
    private long shownAt = start;
    private int correct;
    private int answered;
    private long tokens;

    EvalProgress(Task task, PrintWriter out) {
        this.task = task;
        this.out = out;
    }

    @Override
    public void onResponses(List<Response> batch, int done, int of) {
        for (Response response : batch) {
            answered++;
            correct += response.verdict().correct() ? 1 : 0;
            tokens += response.newTokens();
        }
        long now = System.nanoTime();
        double seconds = (now - start) / 1e9;
        if (onTerminal()) {
            if (bar == null) {
                bar = new ProgressBarBuilder().setTaskName(task.name()).setInitialMax(of).setStyle(ProgressBarStyle.UNICODE_BLOCK)
                        .startsFrom(done - batch.size(), Duration.ZERO).setUpdateIntervalMillis(200).build();
            }
            bar.stepTo(done);
            bar.setExtraMessage(String.format(Locale.ROOT, " right %.1f%%, %,.0f tokens/s", 100.0 * correct / answered, tokens / seconds));
        } else if (now - shownAt >= INTERVAL || done == of) {
            shownAt = now;
            Duration left = Duration.ofSeconds(Math.round((of - done) * seconds / answered));
            out.printf(Locale.ROOT, "%s %d/%d  right %.1f%%  %,.0f tokens/s  left %d:%02d:%02d%n", task.name(), done, of,
                    100.0 * correct / answered, tokens / seconds, left.toHours(), left.toMinutesPart(), left.toSecondsPart());
            out.flush();
        }
    }

    @Override
    public void close() {
        if (bar != null) bar.close();
    }

    private static boolean onTerminal() {
        Console console = System.console();
        return console != null && console.isTerminal();
    }
}
