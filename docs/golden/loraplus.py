"""Prints the losses of LoraPlusGoldenTest: eight steps of PEFT's LoRA+ optimizer on folders of peft/src/test/resources/lora-options.

Written with torch 2.13.0 (CPU, float32), transformers 5.18.0, peft 0.21.0:  python loraplus.py <folder>
"""

import sys
from pathlib import Path

import torch
from peft import PeftModel
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

OUT = Path(sys.argv[1])
for name in ["lora-bias", "bias-all", "modules-to-save", "embedding"]:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(OUT / "base", dtype=torch.float32), OUT / name, is_trainable=True).eval()
    io = load_file(OUT / name / "io.safetensors")
    optimizer = create_loraplus_optimizer(model, torch.optim.AdamW, lr=2e-3, loraplus_lr_ratio=8, loraplus_weight_decay=2.0, loraplus_lr_embedding=1e-2)
    losses = []
    for _ in range(8):
        loss = model(input_ids=io["input_ids"], attention_mask=io["attention_mask"], labels=io["labels"]).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(name, losses)
