package dev.graft.bench.peers;

import dev.graft.bench.Peer;
import dev.graft.bench.Work;
import dev.graft.bench.model.TrainingStepBench;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/// The LoRA step of `TrainingStepBench` on Bytedeco's libtorch (OpenBLAS and oneDNN, no MKL), base in f32 or bf16.
///
/// Its two pools of threads, OpenMP's and OpenBLAS's, fight for the cores, so how they share them is a parameter: OpenMP's wait asleep, or OpenBLAS alone has
/// threads. As they are by default it takes more than twice as long.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 5, time = 2)
public class LibtorchStepBench implements Peer.Known {
    public enum Pools {
        OPENMP_PASSIVE, OPENBLAS_ONLY
    }

    @Param({"f32", "bf16"})
    public String weights;

    @Param
    public Pools pools;

    private LibtorchLlama model;
    private AdamW optimizer;
    private Tensor ids;
    private Tensor targets;

    @Setup
    public void build() {
        int threads = Integer.getInteger("graft.threads");
        NativeEnvironment.set("OMP_WAIT_POLICY", "PASSIVE");
        NativeEnvironment.set("OPENBLAS_NUM_THREADS", String.valueOf(threads));
        torch.set_num_threads(pools == Pools.OPENMP_PASSIVE ? threads : 1);
        torch.manual_seed(1);
        model = new LibtorchLlama(weights.equals("bf16") ? ScalarType.BFloat16 : ScalarType.Float);
        AdamWOptions options = new AdamWOptions();
        options.set_lr(1e-3);
        optimizer = new AdamW(model.adapters(), options);
        ids = LibtorchLlama.ids();
        targets = LibtorchLlama.ids();
        float first = step();
        if (Math.abs(first - Math.log(LibtorchLlama.VOCAB)) > 0.5)
            throw new IllegalStateException("an untrained model's loss is near ln %d, not %s".formatted(LibtorchLlama.VOCAB, first));
    }

    @Benchmark
    public float step() {
        try (var _ = new PointerScope()) {
            Tensor loss = model.loss(ids, targets);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            return loss.item_float();
        }
    }

    @Override
    public Work work() {
        return new TrainingStepBench().work();
    }

    @Override
    public Peer peer() {
        return new Peer("libtorch 2.13 of Bytedeco", "model.TrainingStepBench.step", Map.of());
    }
}
