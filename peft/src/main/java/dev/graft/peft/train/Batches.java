package dev.graft.peft.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/// The batches of a run, epoch after epoch, without end. Each epoch has an order of its own, drawn for the seed and the epoch's number, so the whole
/// state is two numbers and a run can go on anywhere.
public final class Batches {
    private final List<Example> examples;
    private final TrainConfig config;
    private final int perEpoch;
    private int epoch;
    private int position;
    private int[] order;

    public Batches(List<Example> examples, TrainConfig config) {
        if (examples.isEmpty()) throw new IllegalArgumentException("there is nothing to train on");
        this.examples = List.copyOf(examples);
        this.config = config;
        this.perEpoch = perEpoch(examples.size(), config);
        this.order = order();
    }

    private static int perEpoch(int examples, TrainConfig config) {
        int batch = config.batchSize();
        int micro = config.microBatchSize();
        int whole = examples / batch;
        int rest = examples % batch;
        if (!config.dropLast()) return rest == 0 ? whole : whole + 1;
        int full = rest > batch - micro ? whole + 1 : whole;
        if (full == 0) {
            throw new IllegalArgumentException(("%d examples do not fill a batch of %d, and drop_last leaves out what does not; "
                    + "take a smaller batch").formatted(examples, batch));
        }
        return full;
    }

    /// Batches, and so steps, in one epoch.
    public int perEpoch() {
        return perEpoch;
    }

    /// Epochs begun before the next batch; whole ones.
    public int epoch() {
        return epoch;
    }

    /// Batches of this epoch that have been handed out.
    public int position() {
        return position;
    }

    /// Goes on from here.
    public void moveTo(int epoch, int position) {
        if (epoch < 0 || position < 0 || position > perEpoch) {
            throw new IllegalArgumentException("there is no batch %d in epoch %d; an epoch has %d".formatted(position, epoch, perEpoch));
        }
        this.epoch = epoch;
        this.position = position;
        order = order();
    }

    public Batch next() {
        if (position == perEpoch) moveTo(epoch + 1, 0);
        int from = position++ * config.batchSize();
        int to = Math.min(examples.size(), from + config.batchSize());
        List<Example> picked = new ArrayList<>();
        for (int i = from; i < to; i++) picked.add(examples.get(order[i]));
        // Texts of like length side by side need less padding; a sum over the batch does not see the order, a mean of means does.
        if (config.average() == TrainConfig.Average.TOKENS) picked.sort(Comparator.comparingInt(Example::length).reversed());
        return new Batch(picked, config.padding(), config.padToMultipleOf());
    }

    private int[] order() {
        int[] random = Shuffle.permutation(examples.size(), config.seed(), epoch);
        return config.groupByLength() ? grouped(random) : random;
    }

    /// As Hugging Face's `group_by_length`: the random order is cut into groups of fifty batches (fewer for small sets), each group sorted with the
    /// longest first, and the longest text of all moved to the very front, so that memory runs out at once or never.
    private int[] grouped(int[] random) {
        int n = random.length;
        int batches = Math.max(1, Math.min(50, n / (config.batchSize() * 4)));
        int group = batches * config.batchSize();
        int[] grouped = random.clone();
        for (int from = 0; from < n; from += group) {
            int to = Math.min(n, from + group);
            int[] sorted = Arrays.stream(random, from, to).boxed()
                    .sorted(Comparator.comparingInt((Integer i) -> examples.get(i).length()).reversed())
                    .mapToInt(i -> i).toArray();
            System.arraycopy(sorted, 0, grouped, from, sorted.length);
        }
        int longest = IntStream.iterate(0, i -> i < n, i -> i + group).boxed()
                .max(Comparator.comparingInt(i -> examples.get(grouped[i]).length())).get();
        int first = grouped[0];
        grouped[0] = grouped[longest];
        grouped[longest] = first;
        return grouped;
    }
}
