"""Writes peft/src/test/resources/lora-options: what PEFT computes with options of LoRA that ../golden's folders do not cover.

Two tiny LLaMAs with random weights (`base`, with biases; `tied`), and one folder per case: the adapter as PEFT saves it, and io.safetensors with
input_ids, attention_mask, labels, logits (zero at padding), loss, and the gradient of every trained tensor under its key in the saved adapter.
Written with torch 2.13.0 (CPU, float32), transformers 5.18.0, peft 0.21.0:  python lora_options.py <folder>
"""

import copy
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

OUT = Path(sys.argv[1])
SIZES = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=32, initializer_range=0.3, pad_token_id=0, bos_token_id=1, eos_token_id=2)


def base(name, seed, **settings):
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, **settings)).eval()
    for key, p in model.named_parameters():
        if key.endswith("bias"):
            p.data.normal_(0, 0.3)
    model.save_pretrained(OUT / name)
    return model


BASES = {"base": base("base", 1, attention_bias=True, mlp_bias=True), "tied": base("tied", 2, tie_word_embeddings=True)}
CASES = {
    "lora-bias": ("base", dict(target_modules=["q_proj", "up_proj"], lora_bias=True)),
    "bias-all": ("base", dict(target_modules=["v_proj", "down_proj"], bias="all")),
    "modules-to-save": ("base", dict(target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens", "input_layernorm"])),
    "embedding": ("base", dict(target_modules=["embed_tokens", "lm_head", "k_proj"])),
    "pissa": ("base", dict(target_modules=["q_proj", "up_proj", "down_proj"], init_lora_weights="pissa")),
    "olora": ("base", dict(target_modules=["q_proj", "up_proj", "down_proj"], init_lora_weights="olora")),
    "all-linear": ("base", dict(target_modules="all-linear", exclude_modules=["o_proj", "layers.0.mlp.gate_proj"])),
    "regex": ("base", dict(target_modules=r".*layers\.0\.self_attn\.(q|v)_proj")),
    "layers": ("base", dict(target_modules=["q_proj", "gate_proj"], layers_to_transform=[1], layers_pattern=["layers"])),
    "patterns": ("base", dict(target_modules=["q_proj", "v_proj", "o_proj"], use_rslora=True, rank_pattern={r"layers\.1\..*_proj": 2, "q_proj": 5},
                              alpha_pattern={"self_attn.v_proj": 3, r".*o_proj": 1})),
    "tied-head": ("tied", dict(target_modules=["q_proj"], modules_to_save=["lm_head"])),
    "tied-embedding": ("tied", dict(target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    "tied-adapted": ("tied", dict(target_modules=["embed_tokens", "q_proj"])),
}

torch.manual_seed(3)
ids = torch.randint(3, 32, (2, 9))
mask = torch.ones_like(ids)
mask[1, 6:] = 0
ids[mask == 0] = 0
labels = ids.masked_fill(mask == 0, -100)
labels[:, :2] = -100

for number, (name, (on, options)) in enumerate(CASES.items()):
    torch.manual_seed(100 + number)
    model = get_peft_model(copy.deepcopy(BASES[on]), LoraConfig(r=3, lora_alpha=6, task_type="CAUSAL_LM", **options)).eval()
    for p in model.parameters():
        if p.requires_grad:
            p.data += torch.randn_like(p) * 0.1
    model.save_pretrained(OUT / name)
    (OUT / name / "README.md").unlink()
    out = model(input_ids=ids, attention_mask=mask, labels=labels)
    out.loss.backward()
    keys = {t.data_ptr(): key for key, t in get_peft_model_state_dict(model).items()}
    grads = {f"grad.{keys[p.data_ptr()]}": p.grad.contiguous() for p in model.parameters() if p.requires_grad}
    save_file(dict(input_ids=ids, attention_mask=mask, labels=labels, logits=(out.logits * mask[..., None]).detach().contiguous(), loss=out.loss.detach().reshape(1), **grads),
              OUT / name / "io.safetensors")
    print(name, len(grads), "trained tensors, loss", out.loss.item())
