"""How long a training step takes alone and beside a busy process: a step of `make everything`.

Threads that share a product wait for each other. OpenMP's threads spin while they wait, unless
OMP_WAIT_POLICY=PASSIVE lets them sleep. Each of the four cases trains the same steps of the demo in
a process of its own; their median goes into nbs/benchmarks/waiting.json.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from minivlm_cot.core import save_json

ROOT = Path(__file__).resolve().parent.parent
STEPS, FIRST = 60, 10  # steps trained; the first ones, which warm up, are left out
SPIN = "while True: pass"


def train():
    "Train the demo's base model, and print the median of a step's milliseconds"
    import trainings  # only in the child: it takes torch

    trainings.STEPS = STEPS
    with tempfile.TemporaryDirectory() as folder:
        kept = trainings.one_run(trainings.ADAMW | dict(align=False), folder, *trainings.world())
        print(1000 * statistics.median(kept["step_seconds"][FIRST:]))


def measured(policy, busy):
    "Milliseconds of a step under a waiting policy, with or without a busy process beside it"
    env = {k: v for k, v in os.environ.items() if not k.startswith("OMP_")}
    env |= {"OMP_WAIT_POLICY": policy} if policy else {}
    beside = subprocess.Popen([sys.executable, "-c", SPIN]) if busy else None
    try:
        command = [sys.executable, __file__, "train"]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    finally:
        if beside:
            beside.kill()
    return round(float(done.stdout.split()[-1]), 1)


def main():
    "All four cases"
    found = {
        name: {"alone": measured(policy, False), "busy": measured(policy, True)}
        for name, policy in (("spin", ""), ("sleep", "PASSIVE"))
    }
    save_json(dict(milliseconds=found, steps=STEPS - FIRST), ROOT / "nbs/benchmarks/waiting.json")
    print(found)


if __name__ == "__main__":
    train() if "train" in sys.argv else main()
