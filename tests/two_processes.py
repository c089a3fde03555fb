"""What each process of test_processes does: train one model after another, as it is told.

python two_processes.py FOLDER RUNS, where RUNS is JSON: a list of keyword arguments of `run`
"""

import json
import os
import signal
import sys

import torch
from torch.distributed.fsdp import FSDPModule

from minivlm_cot.core import close_processes, process_state, set_seed
from minivlm_cot.core.contracts import Callback
from minivlm_cot.dataset import format_pair
from minivlm_cot.generation import generate_answers
from minivlm_cot.model import MiniVLM, MiniVLMProcessor, save_minivlm, train_tokenizer
from minivlm_cot.model import small_image_processor, small_language_config, small_vision_config
from minivlm_cot.scenes import scene_examples
from minivlm_cot.training import TrainConfig, shard, train_cot_vlm, wants_fsdp

ARMS = ("cot", "direct")


class StopOne(Callback):
    "The last process asks for the end, the others do not"

    def __init__(self, step):
        self.last = step

    def after_step(self, run):
        state = process_state()
        if run.done == self.last and state.process_index == state.num_processes - 1:
            run.stop()


def new_model(processor, dropout):
    "Each process its own weights, as a new projector has: they must come to one"
    set_seed(process_state().process_index)
    language = small_language_config(
        processor.tokenizer, num_hidden_layers=2, attention_dropout=dropout
    )
    vision = small_vision_config(num_hidden_layers=1)
    return MiniVLM.from_components(vision, language, drop_cls=True, device="cpu", summary=False)


def check_shards(model):
    "Each process holds no more than its share of each weight"
    for whole, part in zip(model.parameters(), shard(model).parameters()):
        if part.requires_grad:
            most = -(-whole.shape[0] // 2) * whole[0].numel()
            assert part.to_local().numel() <= most, whole.shape


def main(out, runs):
    torch.set_num_threads(1)
    state = process_state()
    print(f"of {state.num_processes}", flush=True)
    examples = scene_examples(40, "train")
    texts = [t for e in examples for arm in ARMS for t in format_pair(e, arm)]
    processor = MiniVLMProcessor(small_image_processor(), train_tokenizer(texts))
    usual = dict(epochs=2, batch_size=5, precision="fp32", lr_language=1e-3, validate_every=1)

    def run(name, dropout=0.0, stop_after=0, asked_after=0, **changes):
        model = new_model(processor, dropout)

        def validate(model, step):
            if step == stop_after and state.process_index == state.num_processes - 1:
                os.kill(os.getpid(), signal.SIGINT)  # one hears it, all must stop
            # not equally many: nobody may have to wait for another
            mine = examples[: 1 + state.process_index]
            pictures, questions = ([e[n] for e in mine] for n in ("image", "question"))
            generate_answers(model, processor, pictures, questions, "cot", max_new_tokens=3)
            return dict(seen=step, sharded=isinstance(model, FSDPModule))

        config = TrainConfig(**dict(out=f"{out}/{name}") | usual | changes)
        more = [StopOne(asked_after)]
        try:
            history = train_cot_vlm(model, processor, examples, config, validate, False, more)
        except KeyboardInterrupt:
            return print("stopped", flush=True)
        if not history.finished:
            return print("stopped", flush=True)
        if state.is_main_process:
            save_minivlm(model, processor, f"{out}/{name}/model")
        if wants_fsdp():
            check_shards(model)

    for changes in runs:
        run(**changes)
    close_processes()  # nobody leaves while another is still speaking


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
