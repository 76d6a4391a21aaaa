"""Writes peft/src/test/resources/prompt-encoders: what PEFT's prompt encoders make of random weights, which the folders that PEFT saves do not hold.

One folder per case, with io.safetensors: the encoder's parameters by their names, `prompt` (what it makes), `direction` (random, of the same shape) and `grad.<name>`, the gradient of
sum(prompt * direction) for every parameter. Written with torch 2.13.0 (CPU, float32), peft 0.21.0:  python prompt_encoders.py <folder>
"""

import sys
from pathlib import Path

import torch
from peft import PrefixEncoder, PrefixTuningConfig, PromptEncoder, PromptEncoderConfig
from safetensors.torch import save_file

OUT = Path(sys.argv[1])
SIZES = dict(task_type="CAUSAL_LM", num_virtual_tokens=4, num_layers=2, num_transformer_submodules=1)
CASES = {
    "mlp": lambda: PromptEncoder(PromptEncoderConfig(token_dim=20, num_attention_heads=5, encoder_hidden_size=7, **SIZES)),
    "lstm": lambda: PromptEncoder(PromptEncoderConfig(token_dim=20, num_attention_heads=5, encoder_hidden_size=3, encoder_num_layers=3,
                                                      encoder_reparameterization_type="LSTM", **SIZES)),
    "projection": lambda: PrefixEncoder(PrefixTuningConfig(token_dim=4, num_attention_heads=1, encoder_hidden_size=5, prefix_projection=True, **SIZES)),
}

for number, (name, make) in enumerate(CASES.items()):
    torch.manual_seed(number)
    encoder = make()
    prompt = encoder(torch.arange(4)[None])[0]
    direction = torch.randn_like(prompt)
    (prompt * direction).sum().backward()
    tensors = {"prompt": prompt.detach().clone(), "direction": direction}
    for key, p in encoder.named_parameters():
        tensors[key] = p.detach().clone()
        tensors["grad." + key] = p.grad.clone()
    (OUT / name).mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT / name / "io.safetensors")
