package dev.graft.bench.peers;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/// The training bench's LLaMA written for libtorch as one writes it there: random frozen weights, LoRA of rank 8 and alpha 16 on q and v in f32.
final class LibtorchLlama {
    static final int BATCH = 4;
    static final int TOKENS = 256;
    static final int VOCAB = 8192;
    private static final int HIDDEN = 768;
    private static final int LAYERS = 6;
    private static final int HEADS = 12;
    private static final int HEAD = HIDDEN / HEADS;
    private static final int MLP = 2048;
    private static final int RANK = 8;
    private static final double ALPHA = 16;

    private record Block(Tensor norm, Lora q, Tensor k, Lora v, Tensor o, Tensor mlpNorm, Tensor gate, Tensor up, Tensor down) {
    }

    private record Lora(Tensor weight, Tensor a, Tensor b) {
    }

    private final ScalarType type;
    private final Tensor embedding;
    private final List<Block> blocks = new ArrayList<>();
    private final Tensor norm;
    private final Tensor head;
    private final Tensor cos;
    private final Tensor sin;

    LibtorchLlama(ScalarType type) {
        this.type = type;
        embedding = frozen(VOCAB, HIDDEN);
        for (int i = 0; i < LAYERS; i++) {
            blocks.add(new Block(ones(), lora(), frozen(HIDDEN, HIDDEN), lora(), frozen(HIDDEN, HIDDEN), ones(), frozen(MLP, HIDDEN),
                    frozen(MLP, HIDDEN), frozen(HIDDEN, MLP)));
        }
        norm = ones();
        head = frozen(VOCAB, HIDDEN);
        float[] c = new float[TOKENS * HEAD];
        float[] s = new float[TOKENS * HEAD];
        for (int i = 0; i < c.length; i++) {
            double angle = i / HEAD * Math.pow(10_000, -2.0 * (i % (HEAD / 2)) / HEAD);
            c[i] = (float) Math.cos(angle);
            s[i] = (float) Math.sin(angle);
        }
        cos = Tensor.create(c, new long[] {1, 1, TOKENS, HEAD}).to(type);
        sin = Tensor.create(s, new long[] {1, 1, TOKENS, HEAD}).to(type);
    }

    TensorVector adapters() {
        return new TensorVector(blocks.stream().flatMap(b -> Stream.of(b.q.a, b.q.b, b.v.a, b.v.b)).toArray(Tensor[]::new));
    }

    static Tensor ids() {
        return torch.randint(VOCAB, new long[] {BATCH, TOKENS});
    }

    Tensor loss(Tensor ids, Tensor targets) {
        Tensor x = torch.embedding(embedding, ids);
        for (Block b : blocks) {
            x = x.add(attention(b, rmsNorm(x, b.norm)));
            x = x.add(mlp(b, rmsNorm(x, b.mlpNorm)));
        }
        Tensor logits = torch.linear(rmsNorm(x, norm), head).view(BATCH * TOKENS, VOCAB);
        return torch.cross_entropy_loss(logits.to(ScalarType.Float), targets.view(BATCH * TOKENS));
    }

    private Tensor attention(Block b, Tensor x) {
        Tensor q = rope(heads(linear(x, b.q)));
        Tensor k = rope(heads(torch.linear(x, b.k)));
        Tensor v = heads(linear(x, b.v));
        Tensor y = torch.scaled_dot_product_attention(q, k, v, new TensorOptional(), 0, true, new DoubleOptional(), false);
        return torch.linear(y.transpose(1, 2).reshape(BATCH, TOKENS, HIDDEN), b.o);
    }

    private static Tensor mlp(Block b, Tensor x) {
        return torch.linear(torch.silu(torch.linear(x, b.gate)).mul(torch.linear(x, b.up)), b.down);
    }

    private Tensor linear(Tensor x, Lora lora) {
        Tensor low = torch.linear(torch.linear(x, lora.a.to(type)), lora.b.to(type));
        return torch.linear(x, lora.weight).add(low.mul(new Scalar(ALPHA / RANK)));
    }

    private static Tensor heads(Tensor x) {
        return x.view(BATCH, TOKENS, HEADS, HEAD).transpose(1, 2);
    }

    private Tensor rope(Tensor x) {
        TensorVector halves = x.chunk(2, -1);
        return x.mul(cos).add(torch.cat(new TensorVector(halves.get(1).neg(), halves.get(0)), -1).mul(sin));
    }

    private static Tensor rmsNorm(Tensor x, Tensor weight) {
        return torch.rms_norm(x, new long[] {HIDDEN}, new TensorOptional(weight), new DoubleOptional(1e-5));
    }

    private Tensor frozen(long... shape) {
        return torch.randn(shape).mul(new Scalar(0.02)).to(type);
    }

    private Tensor ones() {
        return torch.ones(HIDDEN).to(type);
    }

    private Lora lora() {
        Tensor a = torch.randn(RANK, HIDDEN).mul(new Scalar(0.02));
        Tensor b = torch.zeros(HIDDEN, RANK);
        a.set_requires_grad(true);
        b.set_requires_grad(true);
        return new Lora(frozen(HIDDEN, HIDDEN), a, b);
    }
}
