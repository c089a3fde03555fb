"""Keep what finished runs of the demo found, one for each seed: `make seeds` trains them first.

    python tools/seeds.py FOLDER FOLDER …

*Chain of thought, from nothing* shows how far the numbers move from one training to another.
"""

import json
import sys
from pathlib import Path

from minivlm_cot.core import load_json

KEPT = Path(__file__).resolve().parent.parent / "nbs/benchmarks/seeds.json"


def found(summary):
    "The numbers of one group, family or split"
    arms = {arm: summary["arms"][arm] for arm in ("cot", "direct")}
    accuracies = {arm: [a["accuracy"], *a["accuracy_ci"]] for arm, a in arms.items()}
    return {"n": summary["n"], **accuracies, "process_accuracy": summary["process_accuracy"]}


def main(runs):
    "Write the numbers of the runs; they must differ in their seed and in nothing else"
    reports = [load_json(Path(run) / "report.json") for run in runs]
    older = [run for run, r in zip(runs, reports) if r.get("chain_rule") != "asked"]
    if older:
        sys.exit(
            f"The chains of {', '.join(map(str, older))} were marked by an older rule: "
            "run the demo there again, which only asks anew."
        )
    recipes = [{k: v for k, v in r["recipe"].items() if k != "seed"} for r in reports]
    if any(recipe != recipes[0] for recipe in recipes):
        sys.exit("These runs have different recipes: only their seeds may differ.")
    seeds = {
        r["recipe"]["seed"]: {
            kind: {name: found(s) for name, s in r[kind].items()}
            for kind in ("groups", "families", "splits")
        }
        for r in reports
    }
    if len(seeds) != len(runs):
        sys.exit("Two of these runs have the same seed.")
    kept = json.dumps({"seeds": seeds}, indent=1, sort_keys=True)
    KEPT.write_text(kept + "\n", encoding="utf-8")
    print(f"{len(seeds)} seeds in {KEPT.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
