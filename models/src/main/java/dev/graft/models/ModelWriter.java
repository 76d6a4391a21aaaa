package dev.graft.models;

import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.StoredType;
import dev.graft.models.io.TensorSource;
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
import java.util.function.Supplier;

/// Writes models as Hugging Face folders: config.json and safetensors, one tensor in memory at a time. A parameter that two parts share is written once.
public final class ModelWriter {
    /// Where files are cut, in bytes, unless told otherwise.
    public static final long SHARD = 5_000_000_000L;

    /// What stands beside the weights: tokenizer and generation settings.
    private static final List<String> COMPANIONS = List.of("tokenizer.json", "tokenizer.model", "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json");

    private ModelWriter() {
    }

    /// Writes the model, every parameter in the type it is stored in. Int8 weights have no place in such a file; give them a type.
    public static void save(CausalLm model, Path folder) {
        save(model, folder, null, SHARD);
    }

    /// Writes the model.
    ///
    /// @param dtype F32, BF16 or F16 for all parameters; null for each as it is stored
    /// @param maxShardBytes where files are cut; a larger tensor gets a file of its own
    public static void save(CausalLm model, Path folder, DType dtype, long maxShardBytes) {
        write(model, folder, p -> dtype == null ? stored(p) : dtype, p -> p.weight().dense(), maxShardBytes);
    }

    /// Writes a new, random model without ever holding it: what [CausalLm#initialise] with this seed gives. The model needs no values.
    public static void saveRandom(CausalLm model, long seed, Path folder, DType dtype, long maxShardBytes) {
        write(model, folder, _ -> dtype, p -> model.init(p, seed), maxShardBytes);
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

    private static void write(CausalLm model, Path folder, Function<Parameter, DType> dtype, Function<Parameter, Tensor> values,
            long maxShardBytes) {
        try (Staging staging = new Staging()) {
            List<TensorSource> tensors = model.parameters().map(p -> {
                Spec spec = new Spec(p.shape(), floating(dtype.apply(p)));
                return new TensorSource(p.name(), StoredType.of(spec.dtype()), spec.shape(),
                        () -> staging.bytes(spec, () -> values.apply(p)));
            }).toList();
            Safetensors.writeModel(folder, tensors, maxShardBytes);
            Map<String, Object> config = model.config().toJson();
            String name = torchName(tensors.getFirst().type());
            config.put("torch_dtype", name);                                     // transformers 4
            config.put("dtype", name);                                             // transformers 5
            Json.write(folder.resolve("config.json"), config);
        }
    }

    private static DType stored(Parameter p) {
        if (p.weight() instanceof Weight.Dense(Tensor value)) return value.dtype();
        throw new TensorException("'%s' is stored as %s; give a type to write it in".formatted(p.name(), p.weight().format()));
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
        private Storage block;

        MemorySegment bytes(Spec spec, Supplier<Tensor> values) {
            close();
            block = HostMemory.shared().allocate(spec.bytes());
            MemorySegment bytes = block.segment().asSlice(0, spec.bytes());
            try (var _ = Scope.untracked()) {
                values.get().to(spec.dtype()).copyTo(bytes);
            }
            return bytes;
        }

        @Override
        public void close() {
            if (block != null) block.release();
            block = null;
        }
    }
}
