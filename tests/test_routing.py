"""Routers: tags are obeyed, bad queries are named, a saved router answers as before."""

from pathlib import Path

import pytest
import torch

from minivlm_cot.core import fingerprint, InputError, load_json
from minivlm_cot.model import load_minivlm
from minivlm_cot.tasks.queries import load_queries, Query
from minivlm_cot.tasks.router_exam import calibration, cross_router, cross_scores, examine_router
from minivlm_cot.tasks.router_exam import fit_router, fit_temperature, fit_threshold, ready_router
from minivlm_cot.tasks.router_exam import risk_coverage, route, settle_router, train_router
from minivlm_cot.tasks.routing import fit_head, label_ids, load_router, mark_rarity, mark_vectors
from minivlm_cot.tasks.routing import read_states, read_tag, ROUTE_NAMES, text_marks

TEXTS = {
    "caption": ("describe it", "caption this", "a short description please"),
    "detection": ("box the dogs", "boxes for the cats", "detect cars"),
    "questions": ("is it red?", "how many dogs?", "what colour is it?"),
    "none": ("tell a joke", "play music", "weather tomorrow"),
    "ambiguous": ("the ball", "dogs", "this one"),
}
KNOWN = [Query(t, task, "x", "x", "train") for task, texts in TEXTS.items() for t in texts]


@pytest.fixture(scope="module")
def small():
    return train_router(KNOWN, KNOWN)


@pytest.mark.parametrize(
    "typed, task, rest",
    [
        ("[OD] the mugs", "detection", "the mugs"),
        ("is it  red [vqa]", "questions", "is it red"),
        ("[Caption]", "caption", ""),
        ("[OD][od] x", "detection", "x"),
        ("[SEG] x", None, "[SEG] x"),
        ("od x", None, "od x"),
    ],
)
def test_tags(small, typed, task, rest):
    assert read_tag(typed) == (task, rest)
    if task:
        assert small.route(typed)[:2] == (task, 1.0)


@pytest.mark.parametrize(
    "typed, message",
    [
        ("", "no words"),
        (" \n?!", "no words"),
        (None, "must be text, not NoneType"),
        (b"box it", "must be text, not bytes"),
        (["box it"], "must be text, not list"),
        ("[OD] [VQA] x", r"\[OD\] and \[VQA\]"),
        ("[VQA]  ", "stands alone"),
    ],
)
def test_bad_queries(small, typed, message):
    with pytest.raises(InputError, match=message):
        small.route(typed)


def test_what_it_has_learned(small):
    for q in KNOWN:
        p = small.probabilities([q.query])[0]
        assert p.sum() == pytest.approx(1) and small.route(q.query).probability in p.tolist()
    assert small.route("BOX the dogs!").task == "detection"
    assert "box" in small.route("box the dogs").why
    assert small.route("play a joke").task == "none"
    assert " or " in small.route("play a joke").why


@pytest.mark.parametrize("typed", ["你好", "🐶 🐱", "x" * 5000, "a\tb\0c", "İİ"])
def test_odd_texts_get_an_answer(small, typed):
    try:
        assert 0 <= small.route(typed).probability <= 1
    except InputError as e:
        assert "no words" in str(e)


def test_marks():
    assert text_marks("What's") == text_marks("WHATS")
    assert {"box", "<box", "box>", "^ box", "?", "it ?", "? $"} <= {*text_marks("Box it?")}
    assert text_marks("") == ["^ $"]


def test_sparse_vectors_fit_as_dense_ones_do():
    texts = [q.query for q in KNOWN]
    rarity = mark_rarity(texts, 512)
    x = mark_vectors(texts, rarity)
    assert x.is_sparse and x.shape == (len(texts), 512)
    torch.testing.assert_close(x.to_dense().norm(dim=1), torch.ones(len(texts)))
    sparse, dense = (fit_head(vectors, label_ids(KNOWN)) for vectors in (x, x.to_dense()))
    torch.testing.assert_close(sparse(x), dense(x.to_dense()), atol=0.05, rtol=0.01)
    empty = x.to_dense().sum(0) == 0
    assert not sparse.weight[empty].any()  # what no query has, nothing is known of


def test_each_part_is_held_out_once():
    a, b = KNOWN[::2], KNOWN[1::2]
    scores, labels = cross_scores(KNOWN, [a, b])
    assert labels.tolist() == label_ids(a + b).tolist()
    of_a = fit_router(KNOWN + b).scores([q.query for q in a])
    torch.testing.assert_close(scores[: len(a)], of_a)
    states = [torch.randn(len(part), 4) for part in (KNOWN, a, b)]
    assert not torch.equal(cross_scores(KNOWN, [a, b], states)[0], scores)
    router = cross_router(KNOWN, [a, b])
    p = (scores / router.temperature).softmax(1)[labels < 3, :3].amax(1)
    assert (p < router.threshold).float().mean() <= 0.1


def test_saved_and_loaded(small, tmp_path):
    small.save(tmp_path / "r")
    again = load_router(tmp_path / "r")
    for q in KNOWN:
        assert again.route(q.query) == small.route(q.query)
    assert sum(f.stat().st_size for f in (tmp_path / "r").iterdir()) < 2_000_000


@pytest.mark.parametrize("fault", ["no weights", "cut", "no threshold", "labels", "nothing"])
def test_damaged_routers(small, tmp_path, fault):
    small.save(tmp_path)
    weights, facts = tmp_path / "router.safetensors", tmp_path / "router.json"
    if fault in ("no weights", "nothing"):
        weights.unlink()
    if fault == "nothing":
        facts.unlink()
    if fault == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    if fault == "no threshold":
        facts.write_text(facts.read_text().replace("threshold", "treshold"))
    if fault == "labels":
        facts.write_text(facts.read_text().replace('"none"', '"no"'))
    with pytest.raises(InputError, match="router"):
        load_router(tmp_path)


def test_states(tmp_path):
    model, processor = load_minivlm(device="cpu")
    language = (model.language_model, processor.tokenizer)
    texts = ["box the dogs", "is it red?", "box the dogs", "x"]
    together = read_states(*language, texts)
    assert together.shape == (4, 2 * model.language_model.config.hidden_size)
    alone = torch.cat([read_states(*language, [t]) for t in texts])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    three = read_states(*language, texts, (0, 1, -1)).chunk(3, 1)
    torch.testing.assert_close(three[2], together)
    assert not torch.equal(three[0], three[1])
    router = train_router(KNOWN, KNOWN, language, layers=(1, -1))
    assert router.layers == (1, -1)
    assert router.route("box the dogs").task == "detection"
    router.save(tmp_path)
    with pytest.raises(InputError, match="language"):
        load_router(tmp_path).route("box it")
    assert load_router(tmp_path, language).route("box it") == router.route("box it")


def test_calibration():
    error, bins = calibration([0.8] * 10 + [1.0] * 5, [True] * 8 + [False] * 2 + [True] * 5)
    assert error == pytest.approx(0) and [b.n for b in bins] == [10, 5]
    error, _ = calibration([0.9] * 10, [True] * 5 + [False] * 5)
    assert error == pytest.approx(0.4)
    for bad in ([], [0.5, 0.5]):
        with pytest.raises(InputError, match="every query"):
            calibration(bad, [True])


def test_temperature_and_threshold():
    scores = torch.tensor([[2.0, 0, 0, 0, 0]] * 4)
    truth = torch.tensor([0, 0, 0, 1])
    assert fit_temperature(scores, truth) > fit_temperature(scores, truth * 0)
    p = torch.tensor([[c, 1 - c, 0, 0, 0] for c in (0.6, 0.7, 0.8, 0.9, 0.95)])
    task = torch.zeros(5, dtype=torch.long)
    assert fit_threshold(p, task, 0.2) == pytest.approx(0.7)
    assert fit_threshold(p, task, 0) == pytest.approx(0.6)
    with pytest.raises(InputError, match="has a task"):
        fit_threshold(p, task + 3)


def test_the_ready_router():
    assert route("could you put boxes around the dogs").task == "detection"
    assert route("what colour is the dog?").task == "questions"
    assert route("what colour is the dog?", ready_router()) == route("what colour is the dog?")
    validation = load_queries("validation")
    right = [route(q.query).task == q.task for q in validation if q.task == "detection"]
    assert sum(right) > 0.9 * len(right)  # it has learned from them


def test_settle_changes_two_numbers_and_keeps_the_budget():
    validation = load_queries("validation")
    plain = fit_router(load_queries("train"))
    found = settle_router(plain, validation, abstain=0.05)
    assert found.text is plain.text and found.temperature != 1
    p = found.probabilities([q.query for q in validation])
    shares = examine_router(found.choose(p), validation)
    assert 0.03 < shares["abstained"][0] <= 0.05
    assert shares["right"][0] > 0.9


def test_risk_and_coverage():
    coverage, risk, area = risk_coverage([0.9, 0.8, 0.7, 0.1], [True, True, True, False])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1] and risk.tolist() == [0, 0, 0, 0.25]
    assert area == pytest.approx(1 / 16)
    for right in ([True, False], [False, True]):  # ties: the order in the list does not matter
        assert risk_coverage([0.5, 0.5], right)[1].tolist() == [0.5, 0.5]
    with pytest.raises(InputError, match="2 confidences and 1 answers"):
        risk_coverage([0.5, 0.5], [True])


def test_examine():
    asked = [Query(t, t, f"v{i}", "x", "test") for i, t in enumerate(ROUTE_NAMES)]
    found = examine_router(torch.tensor([0, 2, 3, 4, 1]), asked)
    assert {n: s[0] for n, s in found.items()} == {
        "right": 0.5,
        "abstained": pytest.approx(1 / 3),
        "refused": 1,
        "sent back": 0,
    }
    assert all(low <= share <= high for share, low, high in found.values())
    assert "right" not in examine_router(torch.tensor([3, 4]), asked[:2])
    assert examine_router(torch.tensor([0, 2]), asked[:2]) == examine_router(
        torch.tensor([0, 2]), asked[:2]
    )


def test_the_kept_numbers_are_of_this_test_part():
    kept = load_json(Path(__file__).parent.parent / "nbs/benchmarks/routing.json")
    asked = load_queries("test")
    assert kept["asked"] == fingerprint([list(q) for q in asked])
    for row in kept["test"].values():
        assert sum(map(sum, row["answers"])) == len(asked)
    spent = [q._replace(part="test") for q in load_queries("validation2")]
    assert kept["first"]["asked"] == fingerprint([list(q) for q in spent])
