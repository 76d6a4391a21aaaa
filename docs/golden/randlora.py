"""Prints what PEFT computes for the golden folders of RandLoRA in double precision: loss, the sum of squares of the logits and of every gradient, and the losses of ten AdamW
steps; AdapterGoldenTest compares Graft's reference backend with them.

Scale 160 and random weights amplify rounding: PEFT's own float32 numbers in those folders are not those of its double precision, from 2e-4 in a logit to 1.8 in the tenth loss.

Written with torch 2.13.0 (CPU), transformers 5.18.0, peft 0.21.0:  python randlora.py <folder of goldens>
"""

import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

torch.set_default_dtype(torch.float64)
OUT = Path(sys.argv[1])
SINGLE, FLOAT = torch.float32, torch.Tensor.float
for base in ["llama-gqa-tied", "bloom-h4", "gptj"]:
    torch.float = torch.float32 = SINGLE; torch.Tensor.float = FLOAT
    folder = OUT / "peft" / base / "randlora"
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(OUT / "models" / base, dtype=torch.float64), folder, is_trainable=True, autocast_adapter_dtype=False).double().eval()
    io = load_file(folder / "io.safetensors")
    torch.float = torch.float32 = torch.float64; torch.Tensor.float = torch.Tensor.double      # norms, softmax and loss are in float32 whatever the model is in
    kw = dict(input_ids=io["input_ids"], attention_mask=io["attention_mask"], labels=io["labels"])
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.01)
    losses = []
    for step in range(10):
        out = model(**kw)
        losses.append(out.loss.item())
        optimizer.zero_grad()
        out.loss.backward()
        if step == 0:
            logits = out.logits * io["attention_mask"][..., None]
            print(base, "logits", (logits**2).sum().item(), "gradients", sum((p.grad**2).sum().item() for p in trained), "golden off by", (logits - io["logits"].double()).abs().max().item())
        optimizer.step()
    print(base, losses, [abs(a - b) for a, b in zip(losses, io["train.losses"].tolist())])
