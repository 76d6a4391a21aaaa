"""The LoRA training step of TrainingStepBench on PyTorch's own CPU build.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
    .venv/bin/python lora_step.py --threads 2           prints one line of JSON

`./graft bench --peers PytorchStepBench` runs it with --serve 2.13: it says "ready", then answers each line with the loss of one step more.
"""

import argparse
import json
import math
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F

BATCH, TOKENS, VOCAB, HIDDEN, LAYERS, HEADS, MLP, RANK, ALPHA = 4, 256, 8192, 768, 6, 12, 2048, 8, 16
HEAD = HIDDEN // HEADS


class Llama:
    def __init__(self, dtype):
        self.dtype = dtype
        self.adapters = []
        self.embedding, self.head, self.norm = self.frozen(VOCAB, HIDDEN), self.frozen(VOCAB, HIDDEN), self.ones()
        self.blocks = [dict(
            norm=self.ones(), q=self.lora(), k=self.frozen(HIDDEN, HIDDEN), v=self.lora(), o=self.frozen(HIDDEN, HIDDEN),
            mlp_norm=self.ones(), gate=self.frozen(MLP, HIDDEN), up=self.frozen(MLP, HIDDEN), down=self.frozen(HIDDEN, MLP),
        ) for _ in range(LAYERS)]
        angles = torch.arange(TOKENS)[:, None] * 10000.0 ** (-2.0 * (torch.arange(HEAD) % (HEAD // 2)) / HEAD)
        self.cos, self.sin = angles.cos()[None, None].to(dtype), angles.sin()[None, None].to(dtype)

    def frozen(self, *shape):
        return (torch.randn(*shape) * 0.02).to(self.dtype)

    def ones(self):
        return torch.ones(HIDDEN).to(self.dtype)

    def lora(self):
        a = (torch.randn(RANK, HIDDEN) * 0.02).requires_grad_(True)
        b = torch.zeros(HIDDEN, RANK).requires_grad_(True)
        self.adapters += [a, b]
        return self.frozen(HIDDEN, HIDDEN), a, b

    def linear(self, x, lora):
        weight, a, b = lora
        return F.linear(x, weight) + F.linear(F.linear(x, a.to(self.dtype)), b.to(self.dtype)) * (ALPHA / RANK)

    def rope(self, x):
        first, second = x.chunk(2, -1)
        return x * self.cos + torch.cat((-second, first), -1) * self.sin

    def loss(self, ids, targets):
        heads = lambda x: x.view(BATCH, TOKENS, HEADS, HEAD).transpose(1, 2)
        norm = lambda x, weight: F.rms_norm(x, (HIDDEN,), weight, 1e-5)
        x = F.embedding(ids, self.embedding)
        for b in self.blocks:
            n = norm(x, b["norm"])
            q, k, v = self.rope(heads(self.linear(n, b["q"]))), self.rope(heads(F.linear(n, b["k"]))), heads(self.linear(n, b["v"]))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + F.linear(y.transpose(1, 2).reshape(BATCH, TOKENS, HIDDEN), b["o"])
            n = norm(x, b["mlp_norm"])
            x = x + F.linear(F.silu(F.linear(n, b["gate"])) * F.linear(n, b["up"]), b["down"])
        logits = F.linear(norm(x, self.norm), self.head).view(BATCH * TOKENS, VOCAB)
        return F.cross_entropy(logits.float(), targets.view(-1))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--weights", choices=["f32", "bf16"], default="f32")
    args.add_argument("--mode", choices=["eager", "compile"], default="eager")
    args.add_argument("--steps", type=int, default=12)
    args.add_argument("--serve", metavar="VERSION", help="take lines; refuse to be another version of torch than this")
    args = args.parse_args()

    if args.serve and not torch.__version__.startswith(args.serve):
        sys.exit(f"this is torch {torch.__version__}, not {args.serve}; how to install that is at the top of {__file__}")
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    model = Llama(torch.bfloat16 if args.weights == "bf16" else torch.float32)
    loss_of = torch.compile(model.loss) if args.mode == "compile" else model.loss
    optimizer = torch.optim.AdamW(model.adapters, lr=1e-3)
    ids, targets = torch.randint(VOCAB, (BATCH, TOKENS)), torch.randint(VOCAB, (BATCH, TOKENS))

    def step():
        loss = loss_of(ids, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    first = step()
    if abs(first - math.log(VOCAB)) > 0.5:
        sys.exit(f"an untrained model's loss is near ln {VOCAB} = {math.log(VOCAB):.2f}, not {first:.2f}")
    if args.serve:
        print("ready", flush=True)
        for _ in sys.stdin:
            print(step(), flush=True)
        return
    step()
    seconds = []
    for _ in range(args.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    print(json.dumps(dict(
        torch=torch.__version__, threads=args.threads, weights=args.weights, mode=args.mode, seconds=median, tokens_per_second=BATCH * TOKENS / median,
        peak_resident_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)))


main()
