"""The study of all ways to think, in small: from the rivals to the table, and taken up again."""

import json

import pytest

from minivlm_cot.core import save_json
from minivlm_cot.reasoning import RivalRecipe, StudyRecipe, measure_strategies, study_lines


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    "A study of a few questions, and its folder"
    out = tmp_path_factory.mktemp("study")
    recipe = StudyRecipe(questions=4, test=4, validation=4, chains=4, seeds=(0, 1))
    rivals = RivalRecipe(pictures=64, validation=13)
    return out, recipe, rivals, measure_strategies(out, recipe, rivals)


def test_every_way_stands_in_every_split(study):
    out, _, _, found = study
    kept = json.loads((out / "results.json").read_text())
    assert set(kept["splits"]) == {"ood_pairs", "ood_objects", "ood_hops", "test"}
    names = [[told["name"] for told in part["ways"]] for part in kept["splits"].values()]
    assert all(one == names[0] for one in names)
    wanted = {"direct", "chain", "vote of 4", "pass@4", "mean of samples", "trained on, dots"}
    assert wanted | {"cascade", "beam 4 × 4", "best of 4, step head"} <= set(names[0])
    for told in kept["splits"]["test"]["ways"]:
        assert told["questions"] == 4 and told["tokens"] > 0
        assert told["gain"]["points"] == pytest.approx(told["gain"]["won"] - told["gain"]["lost"])
    head, lines = study_lines(kept["splits"]["test"]["ways"])
    assert all(len(line) == len(head) for line in lines)
    assert [line[0].startswith("*") for line in lines] == sorted(
        line[0].startswith("*") for line in lines
    )


def test_a_study_goes_on_where_it_was_stopped(study, monkeypatch):
    out, recipe, rivals, found = study
    (out / "ood_hops.json").unlink()
    runs = sorted((out / "runs/ood_hops").iterdir())
    runs[0].unlink()
    again = measure_strategies(out, recipe, rivals)
    assert sorted((out / "runs/ood_hops").iterdir()) == runs
    for split in found["splits"]:
        one, two = (dict(s["splits"][split], seconds=0) for s in (found, again))
        assert one == two


def test_other_questions_take_no_old_run(study):
    out, recipe, rivals, _ = study
    runs = len(list((out / "runs/ood_hops").iterdir()))
    (out / "ood_hops.json").unlink()
    save_json({"threshold": 0.5, "tau": 0.9, "tried": {}}, out / "dials.json")
    measure_strategies(out, recipe, rivals)
    assert len(list((out / "runs/ood_hops").iterdir())) > runs
