"""Real rationales, real photographs, real parts, once from end to end: a smoke run of minutes.

    python tools/rationales.py [OUT] [--keep]

The rows of A-OKVQA whose photographs `MINIVLM_DATA` has are parted by photograph: 40 are trained
on, the others asked in both arms, by the commands `minivlm_train` and `minivlm_eval`. OUT (else
runs/rationales) then holds what these write; with --keep the accuracies go to
nbs/benchmarks/rationales.json, which *Thinking on photographs* shows. Sixty rows are too few to
conclude from: what is shown is that it runs. Without the data or the parts (`make parts`) a
sentence says so.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from minivlm_cot.core import InputError, load_json, save_json
from minivlm_cot.dataset import real_data
from minivlm_cot.dataset.readers import read_records
from minivlm_cot.model.wheels import part_name, parts_folder, PARTS

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "nbs/benchmarks/rationales.json"
SHOWN = ("n", "difference", "difference_ci", "p", "smallest_detectable")
VISION, LANGUAGE = "efficientnet-lite0", "smollm2-135m"
TRAINED = 40  # rows, at least; a photograph's rows stay together


def missing():
    "What the run needs and is not there, in a sentence; None: all is there"
    home = real_data()
    if home is None or not (home / "aokvqa/with_photos.jsonl").exists():
        return "MINIVLM_DATA is not set, or has no A-OKVQA rows with photographs"
    names = [part_name(name) for name in (VISION, LANGUAGE)] + ["efficientnet-lite-code"]
    if not all((parts_folder() / name / PARTS[name].file).exists() for name in names):
        return f"{', '.join(names)} are not all fetched: make parts"


def divided(rows):
    "Rows to train on and rows to ask, with no photograph in common"
    photographs = {}
    for row in rows:
        photographs.setdefault(row["image_id"], []).append(row)
    train, asked = [], []
    for group in photographs.values():
        (train if len(train) < TRAINED else asked).extend(group)
    return train, asked


def write_rows(rows, out):
    "Two files by which the reader knows the splits"
    for split, part in zip(("train", "validation"), divided(rows)):
        lines = [json.dumps(row | dict(split=split), ensure_ascii=False) for row in part]
        (out / f"aokvqa_{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{split}: {len(part)} rows about {len({r['image_id'] for r in part})} photographs")


def run(command, **options):
    "Run one of the project's commands, and show it"
    words = [f"--{name}={value}" for name, value in options.items()] + ["--with_choices"]
    print(command, *words, flush=True)
    subprocess.run([Path(sys.executable).parent / command, *words], check=True, cwd=ROOT)


def keep(report):
    "The numbers of the run, and nothing of the rows"
    arms = {arm: dict(accuracy=report["arms"][arm]["accuracy"]) for arm in ("cot", "direct")}
    numbers = {name: report[name] for name in SHOWN}
    save_json(numbers | dict(arms=arms), KEPT)


def main(out, keeps):
    "Write the rows, train, ask, and say what it is worth"
    if reason := missing():
        return print(f"skipped: {reason}.")
    out.mkdir(parents=True, exist_ok=True)
    write_rows(read_records(real_data() / "aokvqa/with_photos.jsonl"), out)
    data = dict(source="aokvqa", folder=out, images=real_data() / "coco/images")
    parts = dict(vision=VISION, language=LANGUAGE, epochs=3, batch_size=4)
    run("minivlm_train", out=out / "train", split="train", **data, **parts)
    asked = dict(split="validation", max_new_tokens_cot=48, max_new_tokens_direct=8)
    run("minivlm_eval", model=out / "train/model", out=out / "eval", **data, **asked)
    report = load_json(out / "eval/report.json")
    if keeps:
        keep(report)
    low, high = (100 * end for end in report["difference_ci"])
    print(f"thinking − at once: {100 * report['difference']:+.0f} [{low:+.0f}, {high:+.0f}] points")
    print(f"{report['n']} questions are too few to conclude from: it runs, and no more is shown.")


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    given = [word for word in sys.argv[1:] if word != "--keep"]
    try:
        main(Path(given[0] if given else ROOT / "runs/rationales").absolute(), "--keep" in sys.argv)
    except (InputError, subprocess.CalledProcessError) as e:
        sys.exit(str(e))
