"""A model that trains in a second, for the tests of runs."""

import os
import sys
import time

import torch

torch.set_num_threads(1)
from minivlm_cot.core import cli_errors, set_seed  # noqa: E402
from minivlm_cot.dataset import CoTReasoningDataset, format_pair  # noqa: E402
from minivlm_cot.model import (
    MiniVLM,
    MiniVLMProcessor,
    small_image_processor,
    small_language_config,
    small_vision_config,
    train_tokenizer,
)
from minivlm_cot.scenes import scene_examples  # noqa: E402
from minivlm_cot.training import TrainConfig, train_cot_vlm  # noqa: E402


def parts(n=16, seed=0):
    "Rows and a processor; the tokenizer is always that of the same texts"
    known = scene_examples(24, "train")
    texts = [t for e in known for arm in ("cot", "direct") for t in format_pair(e, arm)]
    return scene_examples(n, "train", seed=seed), MiniVLMProcessor(
        small_image_processor(), train_tokenizer(texts, 400)
    )


def model_for(processor, seed=0, **changes):
    "Random weights from a seed"
    set_seed(seed)
    language = small_language_config(
        processor.tokenizer,
        **dict(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            attention_dropout=0.1,
        )
        | changes,
    )
    vision = small_vision_config(
        num_hidden_layers=1, hidden_size=32, num_attention_heads=2, intermediate_size=32
    )
    return MiniVLM.from_components(vision, language, drop_cls=True, device="cpu", summary=False)


def quick(out, **changes):
    "Settings of a short run"
    return TrainConfig(
        **dict(
            out=str(out),
            epochs=2,
            batch_size=4,
            compile="",
            precision="fp32",
            warmup=1,
            lr_language=3e-3,
            lr_projector=3e-3,
            cache="",
            save_every=2,
        )
        | changes
    )


@cli_errors
def main(out, slow):
    "A run whose steps and checkpoints take long enough to be hit"
    rows, processor = parts()
    write = torch.save

    def slowly(state, path):
        write(state, path)
        whole = path.read_bytes()
        for share in range(4):
            path.write_bytes(whole[: len(whole) * share // 4])
            time.sleep(slow)
        path.write_bytes(whole)

    if slow:
        torch.save = slowly
    data = CoTReasoningDataset(rows, processor, together=True)
    print("begin", flush=True)
    train_cot_vlm(
        model_for(processor),
        processor,
        data,
        quick(out, epochs=4, validate_every=1),
        lambda model, step: time.sleep(slow) or {},
        progress=False,
    )
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
    os._exit(0)
