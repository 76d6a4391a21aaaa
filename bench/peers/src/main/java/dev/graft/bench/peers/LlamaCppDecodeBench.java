package dev.graft.bench.peers;

import dev.graft.bench.Peer;
import dev.graft.bench.Work;
import dev.graft.bench.model.DecodeBench;
import dev.graft.bench.model.RandomModels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/// llama.cpp on the task of `DecodeBench`, through node-llama-cpp, whose prebuilt binaries are to be had without a compiler: `llama-cpp/decode.js` in a process
/// of its own, a new one per JVM. Its memory is the one reported.
///
/// Node's event loop and the sampler stand between the tokens, so that this is llama.cpp as a Node program has it; its own `llama-bench` would be faster.
/// Needs Node 20 and, once, `npm install --ignore-scripts` in `bench/peers/llama-cpp`.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 4, time = 2)
public class LlamaCppDecodeBench implements Peer.Known {
    @Param({"f32", "bf16", "q8"})
    public String weights;

    private Worker worker;

    @Setup
    public void load() {
        Path folder = Path.of(System.getProperty("graft.peers"), "llama-cpp");
        if (!Files.isDirectory(folder.resolve("node_modules")))
            throw new IllegalStateException("node-llama-cpp is not there; run npm install --ignore-scripts in " + folder);
        worker = new Worker(folder, List.of("node", "decode.js", Checkpoint.gguf(weights).toString(), System.getProperty("graft.threads"),
                String.valueOf(RandomModels.PROMPT), String.valueOf(DecodeBench.TOKENS)));
    }

    @Setup(Level.Invocation)
    public void rewind() {
        worker.ask("rewind");
    }

    @Benchmark
    @OperationsPerInvocation(DecodeBench.TOKENS)
    public String decode() {
        String tokens = worker.ask("decode");
        if (Integer.parseInt(tokens) != DecodeBench.TOKENS) throw new IllegalStateException("decoded " + tokens + " tokens");
        return tokens;
    }

    @Override
    public Work work() {
        return DecodeBench.work(weights);
    }

    @Override
    public Peer peer() {
        return new Peer("llama.cpp by node-llama-cpp 3.22.1", "model.DecodeBench.decode", Map.of("weights", weights));
    }
}
