"""Writes peft/src/test/resources/adalora: what PEFT does in twelve steps of AdaLoRA, with its penalty and its budget.

On the tiny LLaMA `lora-options/base`: start/ is the adapter before, end/ as PEFT saves it after twelve steps; io.safetensors has input_ids, attention_mask, labels,
losses [12] (with the penalty), left [12, triplets] (which E are not 0 after each step, layer by layer) and logits after the last.
Written with torch 2.13.0 (CPU, float32), transformers 5.18.0, peft 0.21.0:  python adalora.py <lora-options> <folder>
"""

import sys
from pathlib import Path

import torch
from peft import AdaLoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

BASE, OUT = Path(sys.argv[1]), Path(sys.argv[2])
torch.manual_seed(5)
config = AdaLoraConfig(init_r=5, target_r=2, tinit=2, tfinal=2, deltaT=2, total_step=12, lora_alpha=9, orth_reg_weight=0.3, beta1=0.7, beta2=0.8,
                       target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
model = get_peft_model(AutoModelForCausalLM.from_pretrained(BASE / "base", dtype=torch.float32), config).eval()
trained = [p for p in model.parameters() if p.requires_grad]
for p in trained:
    p.data += torch.randn_like(p) * 0.2
model.save_pretrained(OUT / "start")
io = load_file(BASE / "lora-bias" / "io.safetensors")
batch = {key: io[key] for key in ("input_ids", "attention_mask", "labels")}
optimizer = torch.optim.AdamW(trained, lr=2e-2, weight_decay=0.01)
losses, left = [], []
for step in range(1, 13):
    loss = model(**batch).loss
    losses.append(loss.item())
    loss.backward()
    optimizer.step()
    model.base_model.update_and_allocate(step)
    optimizer.zero_grad()
    left.append(torch.cat([(p != 0).flatten() for name, p in model.named_parameters() if "lora_E" in name]).to(torch.int32))
    print(step, losses[-1], left[-1].sum().item())
logits = (model(**batch).logits * batch["attention_mask"][..., None]).detach().contiguous()
model.save_pretrained(OUT / "end")
for folder in ("start", "end"):
    (OUT / folder / "README.md").unlink()
save_file(dict(**batch, losses=torch.tensor(losses), left=torch.stack(left), logits=logits), OUT / "io.safetensors")
