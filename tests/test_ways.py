"""Ways to think on the command line: their answers, their cards, and what is refused."""

import pytest
from test_commands import fails

from minivlm_cot.commands import minivlm_ask, minivlm_draw, minivlm_eval
from minivlm_cot.model import load_minivlm
from minivlm_cot.reasoning import WAYS, Way, ways_named
from minivlm_cot.scenes import make_example


@pytest.fixture
def asked(tmp_path, monkeypatch, capsys):
    "A drawn picture in an empty folder, and its question"
    monkeypatch.chdir(tmp_path)
    minivlm_draw("scene.png", "walk_colour", index=3)
    capsys.readouterr()
    return make_example(3, "test", "walk_colour")["question"]


def test_a_vote_is_asked_and_its_losers_can_be_opened(asked, tmp_path, capsys):
    minivlm_ask("scene.png", asked, strategy="self_consistency", k=4, card="card.html")
    said = capsys.readouterr().out
    assert "Answer:" in said and "card.html" in said
    page = (tmp_path / "card.html").read_text()
    assert "<details" in page and "branches not taken" in page and "4 of 4" in page


@pytest.mark.parametrize("name", WAYS)
def test_every_way_answers(name, asked, capsys):
    minivlm_ask("scene.png", asked, strategy=name)
    assert capsys.readouterr().out.strip()


def test_what_does_not_go_together_is_refused(asked, capsys):
    def told(**wrong):
        return fails(capsys, minivlm_ask, "scene.png", asked, **wrong)

    assert "Unknown strategy 'luck'" in told(strategy="luck")
    assert "name one with --strategy" in told(k=3)
    assert "has no k" in told(strategy="route", k=3)
    assert "choose one" in told(strategy="route", direct=True)
    assert "k is 0" in told(strategy="tree", k=0)


def test_hostile_questions_change_nothing(asked, capsys):
    hostile = ("__import__('os').system('true')", "[calc: 9**9**9]" * 9, "<script>1</script>")
    for question in hostile:
        minivlm_ask("scene.png", question, strategy="self_consistency", k=2, card="card.html")
        capsys.readouterr()
        assert "<script>1" not in open("card.html").read()
    told = fails(capsys, minivlm_ask, "scene.png", "9" * 10_000, strategy="tree")
    assert "positions" in told


def test_ways_stand_in_an_exam(tmp_path, capsys):
    names = "chain,self_consistency,route"
    minivlm_eval(limit=13, out=str(tmp_path), strategies=names, device="cpu")
    said = capsys.readouterr().out
    assert "self consistency" in said and "route" in said


def test_a_name_with_its_size_is_the_strategy_itself():
    processor = load_minivlm(device="cpu")[1]
    assert Way("beam", 3).thinker(processor).width == 3
    assert [way.name for way in ways_named("direct,beam")] == ["direct", "beam"]
