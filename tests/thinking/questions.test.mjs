/** Questions are made, read and answered as Python does. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { jitter, maybeTrained, sampleScene, seeded } from "../../nbs/thinking/chance.js";
import { checkChain } from "../../nbs/thinking/check.js";
import { runProgram } from "../../nbs/thinking/programs.js";
import {
  choicesFor,
  FAMILIES,
  makeQuestion,
  readQuestion,
  surprise,
  truthOf,
} from "../../nbs/thinking/questions.js";
import { InputError } from "../../nbs/thinking/world.js";
import { rows, skip } from "./golden.mjs";

const thing = (shape, colour, cell, size = "big") => ({ shape, colour, size, cell });
const BOARD = {
  things: [
    thing("ball", "red", 0),
    thing("cube", "blue", 2),
    thing("cone", "green", 10),
    thing("star", "red", 8, "small"),
    thing("cube", "yellow", 5, "small"),
  ],
};

test("each family asks about a board, and the right chain is right", () => {
  const random = seeded(3);
  for (const [name, { answers }] of FAMILIES) {
    let asked = 0;
    for (let i = 0; i < 60; i += 1) {
      const scene = jitter(sampleScene(random), random);
      const made = makeQuestion(scene, name, random);
      if (!made) continue;
      asked += 1;
      assert.ok(answers.includes(made.answer), `${made.question} ${made.answer}`);
      assert.ok(checkChain(made.chain, { scene, program: made.program }).right, made.chain);
      assert.deepEqual(readQuestion(made.question)?.program, made.program, made.question);
      assert.equal(truthOf(scene, made.program).answer, made.answer);
    }
    assert.ok(asked >= 15, `${name} could ask about ${asked} of 60 boards`);
  }
});

test("a question asks for each answer about equally often", () => {
  const random = seeded(4);
  const counts = {};
  for (let i = 0; i < 300; i += 1) {
    const made = makeQuestion(sampleScene(random), "compare", random);
    if (made) counts[made.answer] = (counts[made.answer] ?? 0) + 1;
  }
  const all = counts.yes + counts.no;
  assert.ok(Math.abs(counts.yes / all - 0.5) < 0.1, JSON.stringify(counts));
});

test("a surprise is always a question, but not on an empty board", () => {
  for (let seed = 0; seed < 50; seed += 1) assert.ok(surprise(BOARD, seeded(seed)).answer);
  assert.equal(surprise({ things: [] }, seeded(1)), null);
  assert.throws(() => makeQuestion(BOARD, "toString"), InputError);
});

test("a typed question is read whatever its capitals and spaces", () => {
  const read = (text) => readQuestion(text)?.program;
  assert.deepEqual(read("  what COLOUR is  the big cube "), [
    ["inspect", "big cube"],
    ["query", "colour"],
  ]);
  assert.deepEqual(read("Are there more cubes than red objects?"), [
    ["count", "cube"],
    ["count", "red"],
    ["more"],
  ]);
  const strange = ["", "What colour is the dog?", "<b>", "What colour is the ball??", "?"];
  for (const text of [...strange, "a ".repeat(5000), "How many ".repeat(1000), "\ud800 😀"]) {
    assert.equal(readQuestion(text), null, text.slice(0, 40));
  }
});

test("where a question has no one answer, the reason is said", () => {
  const why = (text) => truthOf(BOARD, readQuestion(text).program).why;
  assert.match(why("What colour is the cube?"), /2 here fit/);
  assert.match(why("What colour is the ring?"), /0 here fit/);
  assert.match(why("From the green cone go first up. Which shape do you find?"), /^$/);
  const edge = "From the green cone go first right. Which shape do you find?";
  assert.match(why(edge), /nothing right of c3/);
  assert.equal(why("Which shape is most common?"), "");
  const tied = { things: BOARD.things.slice(0, 2) };
  const most = readQuestion("Which shape is most common?").program;
  assert.match(truthOf(tied, most).why, /share the place/);
  assert.match(truthOf({ things: [] }, most).why, /empty board/);
});

test("choices hold the answer once", () => {
  for (const answer of ["yes", "small", "3", "0", "red", "cone"]) {
    const choices = choicesFor(answer, seeded(7));
    assert.equal(choices.filter((c) => c === answer).length, 1);
    assert.equal(new Set(choices).size, choices.length);
  }
});

test("a board of the split test was not in training", () => {
  const random = seeded(5);
  for (let i = 0; i < 100; i += 1) {
    assert.ok(!maybeTrained(sampleScene(random, "test")));
    assert.ok(maybeTrained(sampleScene(random, "train")));
    assert.ok(!maybeTrained(sampleScene(random, "ood_pairs")));
    assert.ok(!maybeTrained(sampleScene(random, "ood_objects")));
  }
});

test("2,000 questions of Python's are read and answered as Python does", { skip }, () => {
  const golden = rows("questions.jsonl.gz");
  assert.equal(golden.length, 2000);
  for (const { scene, family, question, program, answer, chain } of golden) {
    assert.deepEqual(runProgram(scene, program), { answer, chain });
    assert.deepEqual(readQuestion(question), { family, program }, question);
    assert.deepEqual(truthOf(scene, program), { answer, chain, why: "" });
  }
});
