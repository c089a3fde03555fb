"""Measure what each part of a step costs, in the straightforward loop and in ours: `make costs`.

One thread, and the processor's own seconds instead of the clock on the wall: other programs may run
beside it. Random weights of the real shape. The result is nbs/benchmarks/parts.json.
"""

import time
from pathlib import Path

import numpy as np
import torch

from minivlm_cot.core import save_json
from minivlm_cot.engine import make_batch, our_step, plain_step, preset_model
from minivlm_cot.training import make_optimizers, TrainConfig

PLACE = Path(__file__).resolve().parent.parent / "nbs/benchmarks/parts.json"
ROUNDS = 3


class Marks:
    "Notes the time at which the parts of a step begin and end"

    def __init__(self, model):
        self.at, body = {}, model.language_model.base_model
        model.vision_encoder.register_forward_pre_hook(lambda *call: self.note("see"))
        model.vision_encoder.register_forward_hook(lambda *call: self.note("seen"))
        body.register_forward_pre_hook(lambda *call: self.note("body"))
        body.register_forward_hook(self.after_body)
        for p in model.parameters():
            if p.requires_grad:
                p.register_post_accumulate_grad_hook(lambda p: self.note("backward"))

    def note(self, name):
        self.at[name] = time.process_time()

    def after_body(self, module, args, out):
        self.note("hidden")
        if out.last_hidden_state.requires_grad:
            out.last_hidden_state.register_hook(lambda grad: self.note("head"))

    def parts(self, run):
        "Seconds of each part of one step"
        self.at = {}
        self.note("start")
        run()
        self.note("end")
        t = self.at
        seen = t["seen"] - t["see"] if "see" in t else 0.0
        found = {
            "encoder": seen,
            "layers, forward": t["hidden"] - t["body"],
            "layers, backward": t["backward"] - t["head"],
            "output layer and loss": t["head"] - t["hidden"],
            "clipping and optimiser": t["end"] - t["backward"],
        }
        return found | {"other": t["end"] - t["start"] - sum(found.values())}


def main():
    "Both loops in turn, each once unmeasured"
    torch.set_num_threads(1)
    model = preset_model("vit-b16-smollm-135m", "cpu")
    marks, optimizers = Marks(model), make_optimizers(model, TrainConfig())
    learned = [p for p in model.parameters() if p.requires_grad]
    plain = torch.optim.AdamW(learned, lr=1e-4)
    long = make_batch(model, 4, padded=True, picture="pixel_values")
    short = make_batch(model, 16, per_picture=2)
    ways = {
        "straightforward": (4, lambda: plain_step(model, plain, long)),
        "ours": (16, lambda: our_step(model, optimizers, short)),
    }
    found = {name: [] for name in ways}
    for k in range(1 + ROUNDS):
        for name, (texts, run) in ways.items():
            seconds = marks.parts(run)
            print(name, {part: round(s, 2) for part, s in seconds.items()}, flush=True)
            if k:
                found[name].append({part: s / texts for part, s in seconds.items()})
    middle = {
        name: {part: round(float(np.median([r[part] for r in rows])), 4) for part in rows[0]}
        for name, rows in found.items()
    }
    save_json(dict(seconds_per_text=middle, rounds=ROUNDS, threads=1), PLACE)


if __name__ == "__main__":
    main()
