package dev.graft.peft.train;

import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/// Shows a run to who is waiting for it: a bar on a terminal, elsewhere a line now and then.
public final class ProgressDisplay implements TrainListener {
    private final PrintStream out;
    private final boolean bar;
    private final long interval;

    private ProgressBar progress;
    private long shownAt;
    private double loss;
    private double weight;
    private long seen;
    private double seconds;
    private long tokens;
    private String validation = "";

    private ProgressDisplay(PrintStream out, boolean bar, Duration interval) {
        this.out = out;
        this.bar = bar;
        this.interval = interval.toNanos();
    }

    /// A bar when this process talks to a terminal, else lines.
    public static ProgressDisplay on(PrintStream out) {
        Console console = System.console();
        return console != null && console.isTerminal() ? new ProgressDisplay(out, true, Duration.ofMillis(200))
                : lines(out, Duration.ofSeconds(10));
    }

    /// Plain lines, this far apart; the first step, validations and the last step always have one.
    public static ProgressDisplay lines(PrintStream out, Duration interval) {
        return new ProgressDisplay(out, false, interval);
    }

    @Override
    public void onStart(long step, long steps) {
        if (step > 0) out.println("resumed after step " + step + " of " + steps);
        if (!bar) return;
        progress = new ProgressBarBuilder().setTaskName("").setInitialMax(steps).setStyle(ProgressBarStyle.UNICODE_BLOCK)
                .startsFrom(step, Duration.ZERO)
                .setConsumer(new ConsoleProgressBarConsumer(out)).setUpdateIntervalMillis(200).build();
    }

    @Override
    public void onStep(StepReport r) {
        loss = 0.9 * loss + 0.1 * r.loss();
        weight = 0.9 * weight + 0.1;
        seen++;
        seconds += r.seconds();
        tokens += r.tokens();
        if (bar) {
            progress.stepTo(r.step());
            progress.setExtraMessage(
                    String.format(Locale.ROOT, " loss %.4f, %,.0f tokens/s%s", loss / weight, tokens / seconds, validation));
            return;
        }
        long now = System.nanoTime();
        if (shownAt != 0 && now - shownAt < interval && r.step() < r.steps()) return;
        shownAt = now;
        Duration left = Duration.ofSeconds(Math.round((r.steps() - r.step()) * seconds / seen));
        out.printf(Locale.ROOT, "step %d/%d  epoch %.2f  loss %.4f  rate %.3g  gradient %.3g  %,.0f tokens/s  left %d:%02d:%02d%n",
                r.step(), r.steps(), r.epoch(),
                loss / weight, r.learningRate(), r.gradientNorm(), tokens / seconds, left.toHours(), left.toMinutesPart(),
                left.toSecondsPart());
    }

    @Override
    public void onValidation(ValidationReport r) {
        validation = String.format(Locale.ROOT, ", val %.4f", r.loss());
        if (!bar)
            out.printf(Locale.ROOT, "step %d  validation loss %.4f  perplexity %.3f%s%n", r.step(), r.loss(), r.perplexity(),
                    r.isBest() ? "  best so far" : "");
    }

    @Override
    public void close() {
        if (progress != null) progress.close();
    }
}
