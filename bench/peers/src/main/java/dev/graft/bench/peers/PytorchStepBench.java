package dev.graft.bench.peers;

import dev.graft.bench.Peer;
import dev.graft.bench.Work;
import dev.graft.bench.model.TrainingStepBench;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
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

/// The LoRA step of `TrainingStepBench` on PyTorch's own CPU build (MKL and oneDNN), which only Python has: `pytorch/lora_step.py` in a process of its own,
/// a new one per JVM. Its memory is the one reported.
///
/// Python is `pytorch/.venv/bin/python`, or else `python3`; `-p mode=compile` measures `torch.compile`.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 5, time = 2)
public class PytorchStepBench implements Peer.Known {
    private static final String VERSION = "2.13";

    @Param({"f32", "bf16"})
    public String weights;

    @Param({"eager"})
    public String mode;

    private Worker worker;

    @Setup
    public void start() {
        Path folder = Path.of(System.getProperty("graft.peers"), "pytorch");
        Path python = folder.resolve(".venv/bin/python");
        worker = new Worker(folder,
                List.of(Files.exists(python) ? python.toString() : "python3", "lora_step.py", "--serve", VERSION, "--threads",
                        System.getProperty("graft.threads"), "--weights", weights, "--mode", mode));
    }

    @Benchmark
    public String step() {
        return worker.ask("step");
    }

    @Override
    public Work work() {
        return new TrainingStepBench().work();
    }

    @Override
    public Peer peer() {
        return new Peer("PyTorch " + VERSION, "model.TrainingStepBench.step", Map.of());
    }
}
