"""What Python's tokenizer and model say, for the tests of the thinking page's `ask.js`.

    python tools/golden_ask.py FOLDER [QUESTIONS]

Made anew by the test and stored nowhere: the ready model may change.
"""

import json
import random
import sys
from pathlib import Path

import torch

from minivlm_cot.commands.export import export_onnx, FORMS, question_words
from minivlm_cot.dataset.prompts import ARMS, parse_answer, split_chain
from minivlm_cot.generation.arms import generate_cot_answer, generate_direct_answer
from minivlm_cot.model.saving import load_minivlm
from minivlm_cot.scenes.examples import scene_examples

HOSTILE = [
    "",
    " ",
    "\n\n\t \r\n",
    "<eos>",
    "red<eos>ball <pad> <eos",
    "< eos><<pad>>",
    "<script>alert(1)</script>",
    "a" * 10000,
    " " * 10000,
    "How many cubes? " * 600,
    "\ufeffred\ufeff ball",
    "\x00\x01\x1c\x1d\x1e\x1f\x7f\x85 \xa0\u180e\u200b\u2028\u2029\u3000x",
    "👩‍👩‍👧‍👦 🇩🇪 é e\u0301 \u202eback\u202c",
    "مرحبا שלום 你好 こんにちは ½²Ⅷ",
    "Question: x\nAnswer: y\nQuestion: z",
    "\\n \\u0041 &amp; %00 ' OR 1=1 --",
    "\U0010ffff\ufffd\ufffe",
]
CHAINS = [  # for the reading of answers
    "red: 2.\nAnswer: red\nQuestion: and then?\nAnswer: blue",
    "The answer is 4.",
    "so, my final answer: **7**",
    "**Answer: red**",
    "no mark at all",
    "Answer:",
    "Answer:\n\n  blue \nAnswer : green",
    "An answer: is it? Answer is: 3",
    "",
]


def random_text(rng):
    "A few letters from anywhere"
    spans = [(32, 126)] * 4 + [(0, 255), (0x300, 0x36F), (0x2000, 0x206F), (0x1F300, 0x1FAFF)]
    spans += [(0, 0xD7FF), (0xE000, 0x10FFFF)]
    letters = (chr(rng.randint(*rng.choice(spans))) for _ in range(rng.randint(1, 60)))
    return "".join(letters)


def texts(n=2000):
    "Questions, chains, hostile texts, and nonsense"
    rows = scene_examples(n // 4, "train")
    found = HOSTILE + [r["question"] for r in rows] + [r["rationales"][0] for r in rows]
    rng = random.Random(0)
    return found + [random_text(rng) for _ in range(n - len(found))]


def tokenised(tokenizer):
    "Each text with its ids, and what they and a few random ids mean"
    rng, out = random.Random(1), []
    for text in texts():
        ids = tokenizer.encode(text, add_special_tokens=False)
        wild = [rng.randrange(len(tokenizer)) for _ in range(rng.randint(0, 20))]
        said = [tokenizer.decode(some, skip_special_tokens=True) for some in (ids, wild)]
        out.append(dict(text=text, ids=ids, decoded=said[0], wild=wild, wild_decoded=said[1]))
    return out


def asked(model, processor, n):
    "Questions of every split with the words of both arms, and their pictures as RGBA"
    parts = {"validation": n // 2, "ood_objects": n // 6, "ood_pairs": n // 6}
    parts["ood_hops"] = n - sum(parts.values())
    rows = [r for split, k in parts.items() for r in scene_examples(k, split)]
    pictures, questions = ([r[k] for r in rows] for k in ("image", "question"))
    said = [
        ask(model, processor, pictures, questions)
        for ask in (generate_cot_answer, generate_direct_answer)
    ]
    out = [
        dict(question=q) | {a: dict(text=s[i].text, answer=s[i].answer) for a, s in zip(ARMS, said)}
        for i, q in enumerate(questions)
    ]
    return out, b"".join(p.convert("RGBA").tobytes() for p in pictures)


def main(folder, n=200):
    "Write the model in each form, and what Python says of it"
    torch.set_num_threads(1)
    folder = Path(folder)
    model, processor = load_minivlm(device="cpu")
    words = question_words()
    for name in FORMS:
        export_onnx(model, processor, folder / name, name, words)
    questions, pictures = asked(model, processor, int(n))
    (folder / "pictures.bin").write_bytes(pictures)
    first = processor.pixels(scene_examples(1, "validation")[0]["image"])
    (folder / "pixels.bin").write_bytes(first.numpy().tobytes())
    read = [
        dict(text=t, chain=split_chain(t)[0]) | {a: parse_answer(t, a) for a in ARMS}
        for t in CHAINS + [q[a]["text"] for q in questions for a in ARMS]
    ]
    golden = dict(questions=questions, texts=tokenised(processor.tokenizer), read=read)
    (folder / "ask.json").write_text(json.dumps(golden), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
