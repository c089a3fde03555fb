"""Routers compared: all choices on validation, then the held-out queries are asked, once.

python tools/routing.py --states FILE --no-test    what validation says; the test stays unread
python tools/routing.py --states FILE              and then the test

smollm2-135m reads all queries, frozen (a minute or two on a quiet processor); FILE keeps what it
has read, with the seconds, or is where to go on from. The share of its states in the scores is
chosen by the area under the risk-coverage curve of the two validation parts, each held out once.
All of it goes into nbs/benchmarks/routing.json, from which the chapter “A router's exam” draws.
What the first exam found, on the queries that are now `validation2`, stays there as it is.
"""

import argparse
import os
import random
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from minivlm_cot.core import fingerprint, has_fast_bf16, load_json, save_json, set_seed
from minivlm_cot.engine import machine
from minivlm_cot.model import gguf_tokenizer, load_gguf, load_minivlm
from minivlm_cot.tasks.queries import load_queries, near_duplicates, plain_words, PARTS, ROUTES
from minivlm_cot.tasks.router_exam import calibration, cross_scores, examine_router, fit_router
from minivlm_cot.tasks.router_exam import risk_coverage, settle_router, settle_scores
from minivlm_cot.tasks.routing import fit_head, fit_state_head, label_ids, mark_rarity, mark_vectors
from minivlm_cot.tasks.routing import read_states, read_tag, ROUTE_NAMES, Router

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "nbs/benchmarks/routing.json"
MODEL, LAYERS = "smollm2-135m", (22,)  # of 30; the first exam's validation preferred it to 26, 30
DECAYS = {22: 1e-4, "ready": 1e-3}  # prices of a squared weight, by that validation too
BUDGETS = {"ready": 0.1, "text": 0.1}  # of unanswered queries that have a task
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the states in the scores
POINTS = 60  # of a curve that are kept
BUDGET = 0.06  # the same of a router with SmolLM2's states: it has a reserve
LEARNED = ("train", "validation", "validation2")
FIRST = 620  # queries of train that the first exam knew
SEEDS = range(5)  # of the naive network; the first stands in the table


class Naive(nn.Module):
    "The network of the chapter “Routing”: words → a recurrent network → three tasks"

    def __init__(self, words):
        super().__init__()
        self.ids = {word: i for i, word in enumerate(words, 1)}  # 0: any other word
        self.embed = nn.Embedding(len(words) + 1, 128)
        self.read = nn.LSTM(128, 128, bidirectional=True, batch_first=True)
        self.head = nn.Linear(256, 3)

    def forward(self, text):
        ids = torch.tensor([[self.ids.get(w, 0) for w in plain_words(text)]])
        _, (last, _) = self.read(self.embed(ids))
        return self.head(last.flatten()[None])


def naive_router(train, seed):
    "Learn from 32 queries; also the accuracy on them"
    set_seed(seed)
    few = []
    for task, n in zip(ROUTES, (6, 6, 20)):
        few += random.sample([q for q in train if q.task == task], n)
    model = Naive(sorted({w for q in few for w in plain_words(q.query)}))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for q in (q for _ in range(20) for q in random.sample(few, len(few))):
        loss = nn.functional.cross_entropy(model(q.query), label_ids([q]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model, float((naive_says(model, few).argmax(1) == label_ids(few)).double().mean())


@torch.inference_mode()
def naive_says(model, queries):
    "Probabilities of the three tasks; it knows no other answer"
    return torch.cat([model(q.query).softmax(1) for q in queries])


def smol_states(parts, kept):
    "What SmolLM2 read of each part, {(part, layer): [N, 1152]}, and the seconds that it took"
    names = {(part, layer): f"{part}.{layer}" for part in parts for layer in LAYERS}
    if kept and Path(kept).exists():
        with safe_open(kept, "pt") as file:
            found = {key: file.get_tensor(name) for key, name in names.items()}
            return found, float(file.metadata()["seconds"])
    dtype = torch.bfloat16 if has_fast_bf16("cpu") else torch.float32
    language = load_gguf(MODEL, dtype=dtype), gguf_tokenizer(MODEL)
    began, found = time.monotonic(), {}
    for part, queries in parts.items():
        states = read_states(*language, [q.query for q in queries], LAYERS)
        for layer, state in zip(LAYERS, states.chunk(len(LAYERS), 1)):
            found[part, layer] = state.contiguous()
    seconds = time.monotonic() - began
    if kept:
        save_file({names[k]: v for k, v in found.items()}, kept, {"seconds": str(seconds)})
    return found, seconds


def ready_states(parts):
    "The same of the ready model's small language model, under the name of the layer “ready”"
    model, processor = load_minivlm(device="cpu")
    language = model.language_model, processor.tokenizer
    texts = {part: [q.query for q in queries] for part, queries in parts.items()}
    return {(part, "ready"): read_states(*language, t) for part, t in texts.items()}


def results(queries, probabilities, answers, confidence=None):
    "All that is kept of a router's answers; `confidence`: of its task, if not the probability"
    labels, n = label_ids(queries), len(ROUTES)
    sure, said = probabilities.max(1)
    error, bins = calibration(sure, said == labels)
    best, task = probabilities[:, :n].max(1)
    coverage, risk, area = risk_coverage(best if confidence is None else confidence, task == labels)
    some = [round(i * (len(risk) - 1) / (POINTS - 1)) for i in range(POINTS)]
    table = torch.zeros(len(ROUTE_NAMES), len(ROUTE_NAMES), dtype=torch.long)
    table.index_put_((labels, answers), torch.tensor(1), accumulate=True)
    return dict(
        shares=examine_router(answers, queries),
        calibration_error=error,
        bins=[list(b) for b in bins],
        area=area,
        curve=[[round(float(coverage[i]), 4), round(float(risk[i]), 4)] for i in some],
        answers=table.tolist(),
    )


def numbers(router):
    "What was chosen"
    return {k: getattr(router, k) for k in ("share", "temperature", "threshold")}


def asked(router, queries, states=None):
    "The results of one of our routers"
    p = router.probabilities([q.query for q in queries], states)
    return numbers(router) | results(queries, p, router.choose(p))


def tried_routers(parts, states):
    "Routers settled on both validation parts, that know all parts; and what validation says"
    lists = [parts[name] for name in LEARNED]
    every, held_out, routers, rows = sum(lists, []), sum(lists[1:], []), {}, {}
    text, labels = cross_scores(lists[0], lists[1:])
    for layer in ("text", *LAYERS, "ready"):
        read = None if layer == "text" else [states[name, layer] for name in LEARNED]
        decay, none = DECAYS.get(layer, 1e-4), layer == "text"
        fitted = fit_router(every, states=None if none else torch.cat(read), decay=decay)
        state, _ = (text, 0) if none else cross_scores(lists[0], lists[1:], read, 1.0, decay)
        for share in (0.0,) if none else SHARES:
            scores = (1 - share) * text + share * state
            router = replace(fitted, share=share)
            router = settle_scores(router, scores, labels, BUDGETS.get(layer, BUDGET))
            p = (scores / router.temperature).softmax(1)
            routers[layer, share] = router
            rows[layer, share] = numbers(router) | results(held_out, p, router.choose(p))
    return routers, rows


def other_routers(parts, states):
    "What needs no settling: tags, the naive network, the nearest query"
    train, queries = parts["train"], parts["test"]
    none = torch.tensor([ROUTE_NAMES.index(read_tag(q.query)[0] or "none") for q in queries])
    rows, seeds = {"tags alone": results(queries, one_hot(none), none)}, []
    for seed in SEEDS:
        model, learned = naive_router(train, seed)
        p = nn.functional.pad(naive_says(model, queries), (0, 2))
        row = results(queries, p, p.argmax(1))
        seeds.append([learned, row["shares"]["right"][0]])
        rows.setdefault("naive, 32 queries", row)
    pairs = {n.asked: n for n in near_duplicates(queries, sum((parts[n] for n in LEARNED), []))}
    near = label_ids([pairs[q].known for q in queries])
    overlap = torch.tensor([pairs[q].overlap for q in queries])
    rows["nearest query"] = results(queries, one_hot(near), near, overlap)
    return rows, seeds


def one_hot(answers):
    "A router that knows no doubt"
    return nn.functional.one_hot(answers, len(ROUTE_NAMES)).double()


def first_router(parts):
    "The text's router as it was in the first exam: is the router better, or the test easier?"
    known, held_out = parts["train"][:FIRST], parts["validation"]

    def fitted(queries):
        texts = [q.query for q in queries]
        rarity = mark_rarity(texts, 8192)
        return Router(fit_head(mark_vectors(texts, rarity), label_ids(queries)), rarity)

    once = settle_router(fitted(known), held_out)
    settled = dict(temperature=once.temperature, threshold=once.threshold)
    return replace(fitted(known + held_out), **settled)


def ask_test(parts, states, tried, chosen):
    "Ask, once"
    rows, seeds = other_routers(parts, states)
    rows["text, first exam's"] = asked(first_router(parts), parts["test"])
    names = {"text": ("text", 0.0), "ready model's states": ("ready", 1.0)}
    names |= {"SmolLM2's states": (chosen[0], 1.0), "text and SmolLM2": chosen}
    for name, key in names.items():
        rows[name] = asked(tried[key], parts["test"], states.get(("test", key[0])))
    return rows, seeds


def show(name, row):
    "One line"
    shares = ", ".join(f"{what} {value[0]:.3f}" for what, value in row["shares"].items())
    error = row["calibration_error"]
    print(f"{name:22} area {row['area']:.4f}, calibration error {error:.3f}, {shares}", flush=True)


def main():
    "Choose on validation, then ask the test"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--states", help="a safetensors file for what SmolLM2 has read")
    parser.add_argument("--no-test", action="store_true", help="only show validation")
    options = parser.parse_args()
    parts = {name: load_queries(name) for name in PARTS}
    states, reading = smol_states(parts, options.states)
    states |= ready_states(parts)
    (tried, found), validation = tried_routers(parts, states), []
    for (layer, share), row in found.items():
        show(f"{layer}, share {share}", row)
        row = {k: v for k, v in row.items() if k not in ("curve", "bins", "answers")}
        validation.append(dict(layer=layer) | row)
    best = min((v for v in validation if v["layer"] in LAYERS), key=lambda v: v["area"])
    if options.no_test:
        return
    rows, seeds = ask_test(parts, states, tried, (best["layer"], best["share"]))
    for name, row in rows.items():
        show(name, row)
    known = machine("cpu") | dict(cores=os.cpu_count())
    seconds = dict(reading=round(reading), of_processor=round(time.process_time()))
    made = dict(day=str(date.today()), machine=known, seconds=seconds)
    test = parts["test"]
    with_a_task = sum(q.task in ROUTES for q in test) / len(test)
    facts = dict(made=made, model=MODEL, validation=validation, naive_seeds=seeds, test=rows)
    facts |= dict(
        decays=[*DECAYS.items()],
        first=load_json(KEPT)["first"],
        chosen={k: best[k] for k in ("layer", "share")},
        with_a_task=with_a_task,
    )
    facts["asked"] = fingerprint([list(q) for q in test])
    save_json(facts, KEPT)


if __name__ == "__main__":
    main()
