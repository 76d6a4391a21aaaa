"""Loads in PEFT what Graft saved, and compares: writes results.md beside this file.

    mvn -pl peft -am test -Dtest=ForPeftTest -Dsurefire.failIfNoSpecifiedTests=false -Dgraft.peft.folders=DIR
    pip install torch transformers peft
    python docs/peft/compare.py DIR

For each folder that ForPeftTest wrote: transformers loads the model, PEFT the adapter; both must take every tensor and leave none out, every field of
adapter_config.json must be one of PEFT's, as many numbers must be trainable as Graft trained, and the logits are compared. Exits with 1 when one of
these fails, or when logits differ by more than 1e-4 + 1e-4 |logit|.
"""

import dataclasses
import json
import logging
import platform
import sys
import warnings
from pathlib import Path

import peft
import torch
import transformers
from peft import PeftConfig, PeftModel
from safetensors import safe_open
from safetensors.torch import load_file

BASES = ["llama", "bloom", "gptj"]
ROOT, OUT = Path(sys.argv[1]), Path(__file__).parent / "results.md"
problems = []
warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
logging.disable(logging.WARNING)


def base_model(base):
    model, report = transformers.AutoModelForCausalLM.from_pretrained(ROOT / base / "model", dtype=torch.float32, output_loading_info=True)
    if report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"]:
        problems.append(f"{base}: transformers says {report}")
    return model.eval()


def unknown_fields(folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    known = {f.name for f in dataclasses.fields(PeftConfig.from_pretrained(folder))}
    return sorted(set(config) - known)


def read(folder, base):
    """The model with the adapter, and the keys that PEFT had no place for or missed. Prompts are read as what their encoder made, which is all a file holds."""
    trainable = not PeftConfig.from_pretrained(folder).is_prompt_learning
    model = PeftModel.from_pretrained(base_model(base), folder, is_trainable=trainable).eval()
    again = model.load_adapter(folder, "default", is_trainable=trainable)
    stored = set(safe_open(folder / "adapter_model.safetensors", "pt").keys())
    own = set(peft.get_peft_model_state_dict(model, save_embedding_layers=False))
    shared = {k.split(".", 1)[1] for k in stored if k.count(".") == 1}              # PEFT lists them below each layer as well
    unexpected = set(again.unexpected_keys) - {"prompt_embeddings"}                 # which PEFT takes out of the report's sight
    return model, sorted(unexpected), sorted(k for k in own - stored if k.rsplit(".", 1)[1] not in shared)


def compare(folder, base):
    expected = load_file(folder / "io.safetensors")
    if extra := unknown_fields(folder):
        problems.append(f"{base}/{folder.name}: fields PEFT does not have: {extra}")
    model, unexpected, missing = read(folder, base)
    if unexpected or missing:
        problems.append(f"{base}/{folder.name}: without place {unexpected[:3]}, missing {missing[:3]}")
    trainable, _ = model.get_nb_trainable_parameters()
    if not model.active_peft_config.is_prompt_learning and trainable != expected["trainable"].item():
        problems.append(f"{base}/{folder.name}: PEFT trains {trainable} numbers, Graft {expected['trainable'].item()}")
    mask = expected["attention_mask"]
    with torch.no_grad():
        logits = model(input_ids=expected["input_ids"], attention_mask=mask).logits
    logits = logits[:, -mask.shape[1]:]                                            # virtual tokens come first
    off = (logits - expected["logits"]).abs() * mask[..., None]
    if not (off <= 1e-4 + 1e-4 * expected["logits"].abs()).all():
        problems.append(f"{base}/{folder.name}: logits differ by {off.max().item():.1e}")
    return off.max().item(), (expected["logits"] * mask[..., None]).abs().max().item()


table, largest = {}, 0
for base in BASES:
    for folder in sorted(p for p in (ROOT / base).iterdir() if (p / "adapter_config.json").exists()):
        try:
            off, scale = compare(folder, base)
            table.setdefault(folder.name, {})[base] = off
            largest = max(largest, scale)
        except Exception as e:
            problems.append(f"{base}/{folder.name}: {type(e).__name__}: {str(e)[:500]}")

worst = max((v, k) for k, row in table.items() for v in row.values())
lines = [
    "# What PEFT computes with Graft's adapters", "",
    f"Written by [compare.py](compare.py) with peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__},"
    f" Python {platform.python_version()}.", "",
    f"{sum(map(len, table.values()))} adapters, trained and saved by Graft, loaded by PEFT: every tensor found its place, as many numbers are trainable, and the",
    f"logits (of up to ±{largest:.0f}) differ by at most **{worst[0]:.1e}** ({worst[1]}). The figures are the largest difference of a logit.", "",
    "| method, option | " + " | ".join(BASES) + " |", "|---" * (len(BASES) + 1) + "|"]
lines += [f"| {name} | " + " | ".join(f"{row[b]:.1e}" if b in row else "" for b in BASES) + " |" for name, row in sorted(table.items())]
if problems:
    lines += ["", "## Problems", ""] + [f"- {p}" for p in problems]
OUT.write_text("\n".join(lines) + "\n")
print("\n".join(lines))
sys.exit(bool(problems))
