package dev.graft.bench.peers;

import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.ModelSupport;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.tensor.AbstractTensor;
import com.github.tjake.jlama.tensor.KvBufferCache;
import com.github.tjake.jlama.tensor.operations.TensorOperationsProvider;
import dev.graft.bench.Peer;
import dev.graft.bench.Work;
import dev.graft.bench.model.DecodeBench;
import dev.graft.bench.model.RandomModels;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Jlama on the task of `DecodeBench`: the time of one greedily decoded token behind a prompt of 300, computed by its Vector API code or by its native library.
///
/// The prompt is read once; every call then decodes the same tokens behind it anew, writing over those of the last. Jlama's own loop around the same calls
/// (`generate`) also turns tokens into text, which is not part of this.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 5, time = 2)
@Measurement(iterations = 4, time = 2)
public class JlamaDecodeBench implements Peer.Known {
    public enum Simd {
        PANAMA, NATIVE
    }

    @Param({"f32", "bf16"})
    public String weights;

    @Param
    public Simd simd;

    private AbstractModel model;
    private KvBufferCache.KvBuffer cache;
    private AbstractTensor<?, ?> logits;
    private int first;

    @Setup
    public void load() {
        Path folder = Checkpoint.huggingFace(weights);
        System.setProperty("jlama.force_panama_tensor_operations", String.valueOf(simd == Simd.PANAMA));
        String found = TensorOperationsProvider.get().name();
        if (found.contains("Native") != (simd == Simd.NATIVE))
            throw new IllegalStateException("asked for " + simd + ", Jlama took " + found);
        model = ModelSupport.loadModel(folder.toFile(), folder.toFile(), DType.F32, weights.equals("bf16") ? DType.BF16 : DType.F32,
                Optional.empty(), Optional.of(Integer.getInteger("graft.threads")));
        cache = new KvBufferCache(model).getEphemeralKvBuffer();
        logits = model.makeDenseTensor(model.getConfig().vocabularySize);
        try (AbstractTensor<?, ?> read = model.batchForward(RandomModels.prompt(), 0, cache)) {
            first = model.sample(read.slice(read.shape().first() - 1), 0, 0, logits);
        }
    }

    @Benchmark
    @OperationsPerInvocation(DecodeBench.TOKENS)
    public int decode() {
        int id = first;
        for (int i = 0; i < DecodeBench.TOKENS; i++) {
            try (AbstractTensor<?, ?> hidden = model.forward(id, RandomModels.PROMPT + i, cache, Optional.empty())) {
                id = model.sample(hidden, 0, 0, logits);
            }
        }
        return id;
    }

    @TearDown
    public void close() {
        cache.close();
        model.close();
    }

    @Override
    public Work work() {
        return DecodeBench.work(weights);
    }

    @Override
    public Peer peer() {
        return new Peer("Jlama 0.8.4", "model.DecodeBench.decode", Map.of("weights", weights));
    }
}
