/** The checker of the thinking page gives the marks that Python's gives. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { seeded } from "../../nbs/thinking/chance.js";
import { ChainMarker, checkChain } from "../../nbs/thinking/check.js";
import { InputError } from "../../nbs/thinking/world.js";
import { rows, skip } from "./golden.mjs";

const thing = (shape, colour, cell) => ({ shape, colour, size: "big", cell });
const SCENE = { things: [thing("ball", "red", 0), thing("cube", "blue", 2)] };
const WALK = [["find", "red ball"], ["move", "right", "first"], ["query", "colour"]];
const CHAIN = "Look: red ball a1. First right: b1 empty, c1 blue cube. It is blue.";

const plain = ({ text, ok, why, verdict }) => [text, ok, why, verdict];
const marks = (check) => [check.parsed, check.impliedAnswer, check.complete, check.right];
const marked = (check) => ({ steps: check.steps.map(plain), marks: marks(check) });

/** A text in pieces of one to seven letters. */
function pieces(text, random) {
  const found = [];
  for (let start = 0; start < text.length; ) {
    const end = start + 1 + Math.floor(random() * 7);
    found.push(text.slice(start, end));
    start = end;
  }
  return found;
}

test("a chain is marked step by step", () => {
  const check = checkChain(CHAIN, { scene: SCENE, program: WALK });
  assert.deepEqual(check.steps.map((s) => s.verdict), ["asked", "asked", "asked"]);
  assert.deepEqual(check.steps.map((s) => s.cells), [[0], [1, 2], []]);
  assert.deepEqual(marks(check), [true, "blue", true, true]);
  const other = checkChain("It is red. Look: blue cube c1. red: none, so 0", { scene: SCENE });
  assert.deepEqual(other.steps.map((s) => s.verdict), ["false", "true", "false"]);
  assert.equal(other.steps[2].why, "in truth red: 1 red a1, so 1");
  assert.equal(other.complete, null);
});

test("a sentence that is not wholly a step is none", () => {
  const odd = ["First RIGHT: b1 empty, c1 blue cube", "look: red ball a1", "It is red, I think"];
  for (const text of [...odd, "Look: red ball a1 <b>", "red: 1 red a1, so 01", "٣ > 1"]) {
    const check = checkChain(`Look: red ball a1. ${text}. It is red.`, { scene: SCENE });
    assert.equal(check.steps[1].why, "not a step that the checker knows", text);
    assert.ok(!check.parsed && check.steps[2].ok);
  }
});

test("a step is marked when a space comes after its full stop, the last one at the end", () => {
  const marker = new ChainMarker({ scene: SCENE, program: WALK });
  assert.deepEqual(marker.add("Look: red ball a1."), []);
  assert.equal(marker.add(" First").length, 1);
  assert.equal(marker.add(" right: b1 empty, c1 blue cube. It is blue.").length, 1);
  assert.equal(marker.end().steps.length, 3);
});

test("10,000 chains get the marks that Python gives, in one piece and in many", { skip }, () => {
  const random = seeded(1);
  const golden = rows("chains.jsonl.gz");
  let differing = 0;
  for (const row of golden) {
    const wanted = { steps: row.steps, marks: row.marks };
    const check = checkChain(row.chain, row);
    const marker = new ChainMarker(row);
    const early = pieces(row.chain, random).flatMap((text) => marker.add(text));
    const late = marker.end();
    try {
      assert.deepEqual(marked(check), wanted);
      assert.deepEqual(late, check);
      assert.deepEqual(early, check.steps.slice(0, early.length));
      assert.ok(early.length >= check.steps.length - 1);
    } catch (error) {
      if ((differing += 1) <= 3) console.error(row.kind, JSON.stringify(row.chain), error.message);
    }
  }
  console.log(`${golden.length} chains, ${differing} marked differently`);
  assert.equal(differing, 0);
  assert.equal(golden.length, 10_000);
});

test("made-up scenes and programs are refused where Python refuses them", { skip }, () => {
  for (const { refused, ...row } of rows("refused.jsonl.gz")) {
    const check = () => checkChain("", row);
    if (refused) assert.throws(check, InputError, JSON.stringify(row));
    else assert.doesNotThrow(check, JSON.stringify(row));
  }
});

test("10,000 characters of anything are marked at once", () => {
  const hostile = [
    "a" + " ".repeat(9998) + "b",
    ". ".repeat(5000),
    "1 red a1, ".repeat(1000),
    `Right: ${"a1 empty, ".repeat(990)}a1 red bal.`,
    "<img onerror=alert(1)>. ".repeat(400),
  ];
  const start = performance.now();
  for (const chain of hostile) assert.ok(!checkChain(chain, { scene: SCENE, program: WALK }).right);
  assert.ok(performance.now() - start < 2000);
});
