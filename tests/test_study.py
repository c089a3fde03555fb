"""The study's numbers: gains, majority, words, and a file from which another machine goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_layouts import daquar
from test_photographs import rows, small  # noqa: F401

from minivlm_cot.core import InputError, load_json, save_json
from minivlm_cot.generation import Answer
from minivlm_cot.real import trials
from minivlm_cot.real.photographs import RealRecipe
from minivlm_cot.real.study import kept_tallies, plot_gains, plot_kinds, study_numbers
from minivlm_cot.real.trials import Exam, TRIALS
from minivlm_cot.tasks import Rooms

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import study as study_tool  # noqa: E402


def made_up(asked, right, recipe=None, styles=("direct",)):
    "What `run_trial` would have found, if these answers were right"
    answers = {}
    for style in styles:
        said = [e["direct_answers"][0] if r else "a zeppelin" for e, r in zip(asked, right)]
        answers[style] = [
            vars(Answer(e["question"], style, "", a, "", 1)) for e, a in zip(asked, said)
        ]
    told = dict(recipe=trials._plain(recipe or RealRecipe()), exam=dict(asked="test"))
    cost = dict(losses=[2.0, 1.0], train_seconds=4.0, seconds=9.0, machine=dict(cores=2))
    return told | cost | dict(answers=answers)


def study_of(tmp_path):
    "Rows, questions, and three trials of which the first is right on all"
    folder = tmp_path / "data"
    asked, learned = rows(folder, "test"), rows(folder, "train")
    some, both = [i % 2 for i in range(len(asked))], ("cot", "direct")
    found = {
        "photographs": {s: made_up(asked, [1] * len(asked), RealRecipe(seed=s)) for s in (0, 1)},
        "blind twin": {s: made_up(asked, some, RealRecipe(blind=True, seed=s)) for s in (0, 1)},
        "scene rationales": {0: made_up(asked, some, TRIALS["scene rationales"], both)},
    }
    return found, asked, learned


def test_numbers_hold_gains_majority_speed_and_words(tmp_path):
    found, asked, learned = study_of(tmp_path)
    found["two epochs"] = {0: made_up(asked, [0] * len(asked), TRIALS["two epochs"])}
    numbers = study_numbers(found, asked, Rooms(), learned, similarity=lambda a, b: float(a == b))
    assert numbers["photographs"]["gain"]["over"] == "blind twin"
    assert numbers["photographs"]["gain"]["difference"] == 0.5
    assert numbers["photographs"]["gain"]["seeds"] == [0, 1]
    parts = numbers["photographs"]["gain"]["parts"]
    assert set(parts) == set(numbers["majority"]["direct"]) - {"all"}
    assert numbers["scene rationales"]["gain"]["over"] == "two epochs"
    assert numbers["scene rationales"]["gain"]["difference"] == 0.5
    assert numbers["scene rationales"]["thinking"]["difference"] == 0
    assert "gain" not in numbers["blind twin"]
    assert numbers["blind twin"]["direct"]["wups"][0] == {"0.9": 0.5, "0.0": 0.5}
    assert numbers["photographs"]["direct"]["wups"][0] == {"0.9": 1.0, "0.0": 1.0}
    pictures = len({r["image_id"] for r in learned})
    assert numbers["photographs"]["pictures_per_second"] == [3 * pictures / 4.0] * 2
    whole = numbers["majority"]["direct"]["all"]
    assert 0 < whole["share"] < 1 and whole["n"] == len(asked)
    assert "zeppelin" not in json.dumps(numbers) and "big" not in json.dumps(numbers)


def test_a_study_goes_on_from_its_numbers_alone(tmp_path):
    found, asked, learned = study_of(tmp_path)
    numbers = json.loads(json.dumps(study_numbers(found, asked, Rooms(), learned)))
    kept = kept_tallies(numbers)
    assert json.loads(json.dumps(study_numbers(kept, asked, Rooms(), learned))) == numbers
    with pytest.raises(InputError, match="not those of these 60 questions"):
        study_numbers(kept, asked * 10, Rooms())


def test_figures_show_what_is_there_and_mark_what_is_unsure(tmp_path):
    found, asked, learned = study_of(tmp_path)
    numbers = study_numbers(found, asked, Rooms(), learned)
    (axes,) = plot_kinds(numbers).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == f"all ({len(asked)})" and len(labels) == len(numbers["majority"]["direct"])
    with pytest.raises(InputError, match="compared with “two epochs” yet"):
        plot_gains(numbers)
    for name, ci in {"lite0": (-0.3, -0.1), "LoRA": (-0.1, 0.3)}.items():
        over = dict(over="two epochs", difference=sum(ci) / 2, ci=list(ci))
        numbers[name] = dict(gain=over)
    (axes,) = plot_gains(numbers).axes
    faces = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lite0", "LoRA"]
    assert faces[0] != "white" and faces[1] == "white"


@pytest.fixture
def data(tmp_path, monkeypatch):
    daquar(tmp_path / "data/daquar")
    monkeypatch.setenv("MINIVLM_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(study_tool, "word_closeness", lambda: None)
    monkeypatch.setattr(study_tool, "KEPT", tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    return tmp_path


def test_the_study_runs_what_its_file_does_not_hold(data, monkeypatch, capsys):
    runs = []

    def begin(name, seed, given, out, threads):
        "A trial that takes no time"
        runs.append((name, seed))
        exam = Exam(str(data / "data/daquar"))
        found = made_up(exam.rows("test"), [1] * 99, study_tool.recipe_of(name, seed, None))
        found["exam"] = vars(exam) | dict(folder="daquar")
        place = study_tool.folder_of(out, name, seed)
        place.mkdir(parents=True, exist_ok=True)
        save_json({k: v for k, v in found.items() if k != "machine"}, place / "trial.json")
        save_json(dict(cores=2), place / "machine.json")
        return subprocess.Popen([sys.executable, "-c", f"raise SystemExit({name == 'lite0'})"])

    monkeypatch.setattr(study_tool, "begin", begin)
    study_tool.main("photographs", out=str(data / "runs"))
    assert runs == [("photographs", seed) for seed in (0, 1, 2)]
    numbers = load_json(data / "kept/real.json")
    assert numbers["photographs"]["seeds"] == [0, 1, 2] and "made" in numbers
    study_tool.main("photographs,blind twin", out=str(data / "elsewhere"))
    assert runs[3:] == [("blind twin", seed) for seed in (0, 1, 2)]
    monkeypatch.setitem(TRIALS, "photographs", RealRecipe(epochs=7))
    with pytest.raises(SystemExit, match="1 failed, see .*lite0-0/log.txt"):
        study_tool.main("lite0,photographs", out=str(data / "third"))
    numbers = load_json(data / "kept/real.json")
    assert runs[6:] == [("lite0", 0)] + [("photographs", seed) for seed in (0, 1, 2)]
    assert numbers["photographs"]["recipe"]["epochs"] == 7 and "lite0" not in numbers
    with pytest.raises(SystemExit, match="There is no trial lite9"):
        study_tool.main("lite9", out=str(data / "third"))


def test_a_process_of_the_study_trains_one_trial(data, small, monkeypatch):
    monkeypatch.setitem(TRIALS, "lite0", RealRecipe(mirrored=False, aligned=0))
    study_tool.main(one="lite0:0", out=str(data / "runs"), pictures=2, epochs=1)
    found = study_tool.found_in(data / "runs/lite0-0")
    assert found["recipe"]["epochs"] == 1 and found["machine"]["cores"]


def test_without_data_the_study_says_so(monkeypatch, capsys):
    monkeypatch.delenv("MINIVLM_DATA", raising=False)
    study_tool.main()
    assert "There is no DAQUAR here" in capsys.readouterr().out


@pytest.mark.parametrize("room, most", [(True, 2), (False, 1)])
def test_a_second_training_waits_for_memory(room, most, monkeypatch):
    monkeypatch.setattr(study_tool, "has_room", lambda: room)
    alive, seen, done = [], [], []

    def start(name, seed):
        alive.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.6)"]))
        seen.append(sum(process.poll() is None for process in alive))
        return alive[-1]

    failed = study_tool.run_all([("lite0", seed) for seed in range(3)], start, 2, done.append)
    assert not failed and max(seen) == most and len(done) == 3
