"The thinking page's modules draw, check and ask as Python does."

import json
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from minivlm_cot.scenes import check_chain, FAMILIES, run_program, Scene, scene_bucket

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "thinking"
QUESTIONS, ASKED = 2000, 74

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


def node(*arguments, **environment):
    "What a node program says; one that fails is a failure"
    done = subprocess.run(
        ["node", *map(str, arguments)], capture_output=True, text=True, **environment
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    "What Python says, made anew"
    folder = tmp_path_factory.mktemp("golden")
    runpy.run_path(str(ROOT / "tools" / "golden.py"))["main"](folder)
    return folder


@pytest.mark.parametrize("name", ["check", "draw", "questions"])
def test_the_modules_agree_with_python(golden, name, monkeypatch):
    monkeypatch.setenv("GOLDEN", str(golden))
    said = node("--test", "--test-reporter=tap", TESTS / f"{name}.test.mjs")
    assert "# skipped 0" in said and "# fail 0" in said, said[-3000:]


def test_python_finds_the_answers_of_the_questions_that_the_page_makes():
    made = [json.loads(line) for line in node(TESTS / "make_questions.mjs", QUESTIONS).splitlines()]
    assert len(made) == QUESTIONS and {m["family"] for m in made} == set(FAMILIES)
    for m in made:
        scene = Scene.from_dict(m["scene"])
        assert (m["answer"], m["chain"]) == run_program(scene, m["program"])
        assert m["answer"] in FAMILIES[m["family"]].answers
        check = check_chain(m["chain"], m)
        assert check.right and check.implied_answer == m["answer"]
        if m["split"] in ("validation", "test"):
            assert scene_bucket(scene) == dict(validation=2, test=3)[m["split"]]


def test_the_ready_model_answers_alike_about_both_pictures():
    found = runpy.run_path(str(ROOT / "tools" / "agreement.py"))["agreement"](ASKED)
    for arm in ("cot", "direct"):
        assert found[f"{arm}_answers"] >= 0.99 * ASKED, found
