package dev.graft.bench.peers;

import dev.graft.models.CausalLm;
import dev.graft.models.llama.LlamaConfig;
import dev.graft.nn.Parameter;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.function.IntConsumer;

/// A LLaMA as llama.cpp reads it: GGUF, version 3.
///
/// ```
/// "GGUF", version, tensors, settings | settings | per tensor: name, shape (fastest first), type, offset | data, each tensor on a multiple of 32 bytes
/// ```
///
/// For timing alone: the rows of q and k stay in Hugging Face's order, and the vocabulary is made up.
final class GgufWriter {
    private static final int ALIGNMENT = 32;

    /// Types of values in settings.
    private static final int U32 = 4, I32 = 5, F32 = 6, STRING = 8, ARRAY = 9;

    private enum Format {
        F32(0, 1, 4), BF16(30, 1, 2), Q8_0(8, 32, 34);

        private final int code;
        private final int blockValues;
        private final int blockBytes;

        Format(int code, int blockValues, int blockBytes) {
            this.code = code;
            this.blockValues = blockValues;
            this.blockBytes = blockBytes;
        }

        int bytes(long values) {
            return Math.toIntExact(values / blockValues * blockBytes);
        }
    }

    private final ByteArrayOutputStream header = new ByteArrayOutputStream();

    private GgufWriter() {
    }

    /// Writes a new model with random values.
    ///
    /// @param weights of matrices: `f32`, `bf16` or `q8`
    static void write(CausalLm model, String weights, Path target) throws IOException {
        Format matrices = switch (weights) {
            case "f32" -> Format.F32;
            case "bf16" -> Format.BF16;
            default -> Format.Q8_0;
        };
        model.initialise(1);
        List<Parameter> parameters = model.parameters().toList();
        byte[] header = new GgufWriter().header((LlamaConfig) model.config(), parameters, matrices);
        try (FileChannel file = FileChannel.open(target, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING,
                StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.wrap(header));
            for (Parameter p : parameters) file.write(data(p.value().toFloats(), format(p, matrices)));
        }
    }

    private byte[] header(LlamaConfig c, List<Parameter> parameters, Format matrices) {
        header.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
        u32(3);
        u64(parameters.size());
        u64(17);
        text("general.architecture", "llama");
        number("general.alignment", ALIGNMENT);
        number("llama.context_length", c.maxPositions());
        number("llama.embedding_length", c.hidden());
        number("llama.block_count", c.layers());
        number("llama.feed_forward_length", c.intermediate());
        number("llama.attention.head_count", c.heads());
        number("llama.attention.head_count_kv", c.keyValueHeads());
        number("llama.rope.dimension_count", c.headDim());
        number("llama.vocab_size", c.vocab());
        real("llama.attention.layer_norm_rms_epsilon", c.normEps());
        real("llama.rope.freq_base", c.ropeTheta());
        text("tokenizer.ggml.model", "llama");
        array("tokenizer.ggml.tokens", STRING, c.vocab(), i -> text(token(i)));
        array("tokenizer.ggml.scores", F32, c.vocab(), i -> u32(Float.floatToRawIntBits(-i)));
        array("tokenizer.ggml.token_type", I32, c.vocab(), i -> u32(i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1)); // unknown, control, byte, normal
        number("tokenizer.ggml.eos_token_id", c.eos().getFirst());

        long offset = 0;
        for (Parameter p : parameters) {
            text(name(p.name()));
            u32(p.shape().rank());
            for (int axis = p.shape().rank() - 1; axis >= 0; axis--) u64(p.shape().dim(axis));
            u32(format(p, matrices).code);
            u64(offset);
            offset += padded(format(p, matrices).bytes(p.shape().size()));
        }
        while (header.size() % ALIGNMENT != 0) header.write(0);
        return header.toByteArray();
    }

    private static Format format(Parameter p, Format matrices) {
        return p.shape().rank() == 1 ? Format.F32 : matrices;
    }

    private static ByteBuffer data(float[] values, Format format) {
        ByteBuffer bytes = ByteBuffer.allocate(padded(format.bytes(values.length))).order(ByteOrder.LITTLE_ENDIAN);
        switch (format) {
            case F32 -> {
                for (float v : values) bytes.putFloat(v);
            }
            case BF16 -> {
                for (float v : values) {
                    int bits = Float.floatToRawIntBits(v);
                    bytes.putShort((short) (bits + 0x7fff + (bits >> 16 & 1) >> 16));
                }
            }
            case Q8_0 -> {
                for (int block = 0; block < values.length; block += 32) {
                    float most = 0;
                    for (int i = 0; i < 32; i++) most = Math.max(most, Math.abs(values[block + i]));
                    float scale = most == 0 ? 1 : most / 127;
                    bytes.putShort(Float.floatToFloat16(scale));
                    for (int i = 0; i < 32; i++) bytes.put((byte) Math.round(values[block + i] / scale));
                }
            }
        }
        return bytes.rewind();
    }

    /// `model.layers.3.mlp.up_proj.weight` → `blk.3.ffn_up.weight`
    private static String name(String ours) {
        return ours.replace("model.layers.", "blk.").replace("model.embed_tokens", "token_embd").replace("model.norm", "output_norm")
                .replace("lm_head", "output").replace("input_layernorm", "attn_norm").replace("post_attention_layernorm", "ffn_norm")
                .replace("self_attn.o_proj", "attn_output").replace("self_attn.", "attn_").replace("mlp.", "ffn_").replace("_proj", "");
    }

    private static String token(int id) {
        return switch (id) {
            case 0 -> "<unk>";
            case 1 -> "<s>";
            case 2 -> "</s>";
            default -> id < 259 ? "<0x%02X>".formatted(id - 3) : "token" + id;
        };
    }

    private static int padded(int bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private void text(String key, String value) {
        text(key);
        u32(STRING);
        text(value);
    }

    private void number(String key, int value) {
        text(key);
        u32(U32);
        u32(value);
    }

    private void real(String key, double value) {
        text(key);
        u32(F32);
        u32(Float.floatToRawIntBits((float) value));
    }

    private void array(String key, int type, int size, IntConsumer element) {
        text(key);
        u32(ARRAY);
        u32(type);
        u64(size);
        for (int i = 0; i < size; i++) element.accept(i);
    }

    private void text(String value) {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        u64(bytes.length);
        header.writeBytes(bytes);
    }

    private void u32(int value) {
        header.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array());
    }

    private void u64(long value) {
        header.writeBytes(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
    }
}
