"""Writes models/src/test/resources/golden/generation/cases.json: what transformers' generate() returns for a scripted model.

The model's next-token logits are a table of the last two tokens, so that any implementation can replay it exactly.
Written with torch 2.13.0, transformers 5.18.0:  python generation.py > cases.json
"""

import itertools
import json

import torch
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

V = 11
torch.manual_seed(5)
TABLE = (torch.randn(V, V, V) * 1.5 * 4096).round() / 4096  # exact in decimal, and fine enough that no two scores tie


class Scripted(PreTrainedModel, GenerationMixin):
    config_class = PretrainedConfig

    def __init__(self):
        super().__init__(PretrainedConfig(vocab_size=V))
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def prepare_inputs_for_generation(self, input_ids, **_):
        return {"input_ids": input_ids}

    def forward(self, input_ids, **_):
        before = torch.cat([input_ids[:, :1] * 0, input_ids[:, :-1]], dim=1)
        return CausalLMOutput(logits=TABLE[before, input_ids])


model = Scripted()
prompts = [[3], [4, 7], [1, 2, 9, 5]]
settings = []
for beams, penalty, early, eos in itertools.product([2, 3, 4], [1.0, 0.0, 2.0, -1.0], [False, True, "never"], [[0], [0, 6], []]):
    settings.append(dict(num_beams=beams, length_penalty=penalty, early_stopping=early, eos_token_id=eos, max_new_tokens=12))
for extra in [dict(repetition_penalty=1.4), dict(no_repeat_ngram_size=2), dict(min_new_tokens=6)]:
    for beams in [1, 3]:
        settings.append(dict(num_beams=beams, length_penalty=1.0, early_stopping=False, eos_token_id=[0], max_new_tokens=14) | extra)
settings.append(dict(num_beams=1, length_penalty=1.0, early_stopping=False, eos_token_id=[0, 6], max_new_tokens=12))


def run(setting, prompt):
    eos = setting["eos_token_id"] or None
    config = GenerationConfig(do_sample=False, use_cache=False, pad_token_id=0, **(setting | {"eos_token_id": eos}))
    out = model.generate(torch.tensor([prompt]), generation_config=config, return_dict_in_generate=True, output_scores=True)
    score = out.sequences_scores[0].item() if setting["num_beams"] > 1 else 0.0
    return setting | {"prompt": prompt, "ids": out.sequences[0, len(prompt):].tolist(), "score": score}


cases = [run(setting, prompt) for setting in settings for prompt in prompts]

# "never" seldom changes the result; keep prompts where it does.
for beams, penalty in itertools.product([2, 3], [1.0, 2.0]):
    for prompt in itertools.product(range(1, V, 2), range(1, V, 3)):
        setting = dict(num_beams=beams, length_penalty=penalty, eos_token_id=[0, 6, 8], max_new_tokens=40)
        pair = [run(setting | {"early_stopping": early}, list(prompt)) for early in [False, "never"]]
        if pair[0]["ids"] != pair[1]["ids"]:
            cases += pair
print(json.dumps({"table": TABLE.tolist(), "cases": cases}, separators=(",", ":")).replace('{"num_beams', '\n{"num_beams'))
