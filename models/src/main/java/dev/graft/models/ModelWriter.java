package dev.graft.models;

import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.StoredType;
import dev.graft.models.io.TensorSource;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.Storage;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.function.LongConsumer;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// Writes models as Hugging Face folders: config.json and safetensors, one tensor in memory at a time, widened or drawn some
/// rows at a time. A parameter that two parts share is written once.
public final class ModelWriter {
    /// Where files are cut, in bytes, unless told otherwise.
    public static final long SHARD = 5_000_000_000L;

    /// What stands beside the weights: tokenizer and generation settings.
    private static final List<String> COMPANIONS = List.of("tokenizer.json", "tokenizer.model", "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json");

    private ModelWriter() {
    }

    /// Writes the model, every parameter in the type it is stored in, NF4 as bitsandbytes does. Int8 blocks have no place in such a file; give them a type.
    public static void save(CausalLm model, Path folder) {
        save(model, folder, null, SHARD);
    }

    /// Writes the model.
    ///
    /// @param dtype F32, BF16 or F16 for all parameters; null for each as it is stored, NF4 included
    /// @param maxShardBytes where files are cut; a larger tensor gets a file of its own
    public static void save(CausalLm model, Path folder, DType dtype, long maxShardBytes) {
        write(model, folder, p -> dtype == null ? stored(p) : dtype, p -> {
            Tensor all = p.weight().dense();
            return (from, to) -> all.slice(0, from, to);
        }, maxShardBytes, _ -> {
        });
    }

    /// Writes a new, random model without ever holding it: what [CausalLm#initialise] with this seed gives. The model needs no values.
    public static void saveRandom(CausalLm model, long seed, Path folder, DType dtype, long maxShardBytes) {
        saveRandom(model, seed, folder, dtype, maxShardBytes, _ -> {
        });
    }

    /// Writes a new, random model.
    ///
    /// @param progress told now and then how many bytes of weights are done
    public static void saveRandom(CausalLm model, long seed, Path folder, DType dtype, long maxShardBytes, LongConsumer progress) {
        write(model, folder, _ -> dtype, p -> (from, to) -> model.init(p, seed, from, to), maxShardBytes, progress);
    }

    /// Copies tokenizer and generation settings from one model's folder to another's, as far as they are there.
    public static void copyCompanions(Path from, Path to) {
        for (String name : COMPANIONS) {
            Path file = from.resolve(name);
            if (!Files.isRegularFile(file)) continue;
            try {
                Files.createDirectories(to);
                Files.copy(file, to.resolve(name), StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException e) {
                throw new CheckpointException(file, "cannot be copied to " + to + ": " + e, e);
            }
        }
    }

    /// The values of a parameter, some rows at a time.
    private interface Rows {
        Tensor of(int from, int to);
    }

    private static void write(CausalLm model, Path folder, Function<Parameter, DType> dtype, Function<Parameter, Rows> values,
            long maxShardBytes, LongConsumer progress) {
        try (Staging staging = new Staging(progress)) {
            DType main = dtype.apply(model.embedding().weight());
            String name = torchName(StoredType.of(floating(main)));
            List<TensorSource> tensors = model.parameters().flatMap(p -> {
                DType written = dtype.apply(p);
                if (written == null) return nf4(p, name, staging);
                Spec spec = new Spec(p.shape(), floating(written));
                return Stream.of(new TensorSource(p.name(), StoredType.of(spec.dtype()), spec.shape(),
                        () -> staging.bytes(spec, () -> values.apply(p))));
            }).toList();
            Safetensors.writeModel(folder, tensors, maxShardBytes);
            Map<String, Object> config = model.config().toJson();
            model.parameters().filter(p -> dtype.apply(p) == null).findFirst().map(p -> (Weight.Nf4) p.weight())
                    .ifPresent(
                            w -> config.put("quantization_config", BitsandbytesWeight.config(w.isNested(), name, model.modules(Linear.class)
                                    .filter(l -> dtype.apply(l.weight()) != null).map(Linear::path).toList())));
            config.put("torch_dtype", name);                                     // transformers 4
            config.put("dtype", name);                                             // transformers 5
            Json.write(folder.resolve("config.json"), config);
        }
    }

    private static Stream<TensorSource> nf4(Parameter p, String dtype, Staging staging) {
        return BitsandbytesWeight.parts(p.name(), (Weight.Nf4) p.weight(), dtype).stream().map(part -> {
            Spec spec = Spec.of(part.type() == StoredType.U8 ? DType.I8 : DType.F32, part.shape().dim(0));
            return new TensorSource(part.name(), part.type(), part.shape(), () -> staging.bytes(spec, () -> {
                Tensor all = part.values().get();
                return (from, to) -> all.slice(0, from, to);
            }));
        });
    }

    /// The type a parameter is stored in; null for NF4, which has tensors of its own.
    private static DType stored(Parameter p) {
        return switch (p.weight()) {
            case Weight.Dense(Tensor value) -> value.dtype();
            case Weight.Nf4 _ -> null;
            case Weight.Q8 _ -> throw new TensorException("'%s' is stored as q8; give a type to write it in".formatted(p.name()));
        };
    }

    private static DType floating(DType dtype) {
        if (!dtype.isFloating()) throw new TensorException("weights are written as f32, bf16 or f16, not as " + dtype);
        return dtype;
    }

    private static String torchName(StoredType type) {
        return switch (type) {
            case F64 -> "float64";
            case F32 -> "float32";
            case F16 -> "float16";
            case BF16 -> "bfloat16";
            default -> type.name().toLowerCase(Locale.ROOT);
        };
    }

    /// Host memory that each tensor in turn passes through.
    private static final class Staging implements AutoCloseable {
        private static final long CHUNK = 8 << 20;

        private final LongConsumer progress;
        private Storage block;
        private long done;

        Staging(LongConsumer progress) {
            this.progress = progress;
        }

        MemorySegment bytes(Spec spec, Supplier<Rows> values) {
            close();
            block = HostMemory.shared().allocate(spec.bytes());
            int rows = spec.shape().dim(0);
            long width = spec.bytes() / rows;
            int step = Math.clamp(CHUNK / width, 1, rows);
            try (var _ = Scope.untracked()) {
                Rows parts = values.get();
                for (int from = 0; from < rows; from += step) {
                    int to = Math.min(rows, from + step);
                    MemorySegment part = block.segment().asSlice(from * width, (to - from) * width);
                    try (var _ = Scope.open()) {
                        parts.of(from, to).to(spec.dtype()).copyTo(part);
                    }
                    progress.accept(done += part.byteSize());
                }
            }
            return block.segment().asSlice(0, spec.bytes());
        }

        @Override
        public void close() {
            if (block != null) block.release();
            block = null;
        }
    }
}
