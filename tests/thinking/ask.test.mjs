/**
 * `ask.js` and `tokenizer.js` against Python: `tools/golden_ask.py` writes what it says into the
 * folder that MINIVLM_GOLDEN names. MINIVLM_WEIGHTS is fp32, fp16 or int8.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { elect, parseAnswer, splitChain } from "../../nbs/thinking/answer.js";
import { load, randomNumbers, toPixels } from "../../nbs/thinking/ask.js";
import { Tokenizer } from "../../nbs/thinking/tokenizer.js";

const golden = process.env.MINIVLM_GOLDEN;
const model = path.join(golden, process.env.MINIVLM_WEIGHTS ?? "fp16");
const read = (name) => readFile(path.join(model, name));
const said = JSON.parse(await readFile(path.join(golden, "ask.json")));
const { questions, texts, read: answers } = said;
const pictures = await readFile(path.join(golden, "pictures.bin"));
const began = performance.now();
const vlm = await load({ read });
const loaded = performance.now() - began;
const { side } = vlm.facts.picture;
const picture = (n) => ({
  data: pictures.subarray(4 * side * side * n, 4 * side * side * (n + 1)),
  width: side,
  height: side,
});

test("the tokenizer says what Python's says", async () => {
  const tokenizer = new Tokenizer(JSON.parse(await read("tokenizer.json")));
  for (const { text, ids, decoded, wild, wild_decoded: other } of texts) {
    assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text.slice(0, 80)));
    assert.equal(tokenizer.decode(ids), decoded);
    assert.equal(tokenizer.decode(wild), other);
  }
  assert.deepEqual(tokenizer.encode("\ud800"), tokenizer.encode("\ufffd"));
  assert.throws(() => new Tokenizer({ model: { type: "WordPiece" } }), /another kind/);
  console.log(`tokenizer: ${texts.length} texts, same ids and same texts back`);
});

test("the pixels are the processor's, to the last bit", async () => {
  const raw = await readFile(path.join(golden, "pixels.bin"));
  const wanted = new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length));
  assert.deepEqual(toPixels(picture(0), vlm.facts.picture), wanted);
  const clear = { data: new Uint8Array(4 * side * side), width: side, height: side };
  assert.ok(toPixels(clear, vlm.facts.picture).every((x) => x === 1), "transparent is white");
  assert.throws(() => toPixels({ ...clear, width: 3 }, vlm.facts.picture), /3 × 80 pixels/);
});

test("answers are read as in Python", () => {
  for (const { text, chain, cot, direct } of answers) {
    assert.equal(splitChain(text).chain, chain, text);
    assert.equal(parseAnswer(text, "cot"), cot, text);
    assert.equal(parseAnswer(text, "direct"), direct, text);
  }
});

test("the words are Python's, with chains and directly", async () => {
  const seconds = { cot: 0, direct: 0, first: 0 };
  const busy = { cot: 0, direct: 0 }; // what it would take without other programs
  let tokens = 0;
  for (const style of ["cot", "direct"]) {
    let equal = 0;
    const before = process.cpuUsage();
    for (const [n, asked] of questions.entries()) {
      let streamed = "";
      const onToken = (text) => (streamed += text);
      const result = await vlm.ask(picture(n), asked.question, { style, onToken, anyWords: true });
      const [said] = result.said;
      assert.equal(streamed, said.text);
      equal += said.text === asked[style].text;
      if (said.text === asked[style].text) assert.equal(said.answer, asked[style].answer);
      seconds[style] += result.seconds.all;
      if (said.text !== asked[style].text) console.log(`${asked.question} ${said.text}`);
      if (style === "cot") seconds.first += result.seconds.first;
      if (style === "cot") tokens += said.tokens;
    }
    const { user, system } = process.cpuUsage(before);
    busy[style] = (user + system) / 1e6;
    console.log(`${model}: ${style}: ${equal} of ${questions.length} texts equal`);
    const share = { fp32: 0, fp16: 0.01, int8: 0.03 }[path.basename(model)]; // rounded weights
    const allowed = Math.ceil(share * questions.length);
    assert.ok(questions.length - equal <= allowed, `${equal} of ${questions.length} equal`);
  }
  const each = (s) => `${((1000 * s) / questions.length).toFixed(0)} ms`;
  const rate = (tokens / (seconds.cot - seconds.first)).toFixed(0);
  console.log(`loaded in ${loaded.toFixed(0)} ms; first token after ${each(seconds.first)}`);
  console.log(`chain ${each(seconds.cot)}, direct ${each(seconds.direct)}; ${rate} tokens/s`);
  const own = `chain ${each(busy.cot)}, direct ${each(busy.direct)}`;
  console.log(`of the processor: ${own}; ${(tokens / busy.cot).toFixed(0)} tokens/s`);
});

test("no question of this world has an unknown word", () => {
  for (const { question } of questions) assert.equal(vlm.problem(question), null, question);
});

test("several chains: drawn by their seed, greedy ones alike, one vote", async () => {
  const asked = questions[0].question;
  const draw = (seed, temperature, chains = 4) =>
    vlm.ask(picture(0), asked, { seed, temperature, chains }).then((r) => r);
  const greedy = await draw(0, 0);
  assert.equal(new Set(greedy.said.map((s) => s.text)).size, 1);
  assert.equal(greedy.vote.share, 1);
  const words = (result) => result.said.map((s) => s.text);
  const [one, same, other] = [await draw(1, 1.5), await draw(1, 1.5), await draw(2, 1.5)];
  assert.deepEqual(words(one), words(same));
  assert.notDeepEqual(words(one), words(other));
  assert.deepEqual(words(await draw(1, 1.5, 2)), words(one).slice(0, 2));
  assert.deepEqual(elect(["Red", null, "red.", "blue"]).votes, { red: 2, blue: 1 });
  assert.equal(elect(["Red", null, "red.", "blue"]).share, 0.5);
  assert.equal(elect([null, ""]).answer, null);
});

test("random numbers are spread evenly", () => {
  const random = randomNumbers("0/0");
  const mean = Array.from({ length: 10000 }, random).reduce((a, b) => a + b) / 10000;
  assert.ok(Math.abs(mean - 0.5) < 0.02);
  assert.notEqual(randomNumbers("0/1")(), randomNumbers("0/2")());
});

test("what cannot be asked is said in one sentence", async () => {
  const problem = async (question, options) =>
    (await vlm.ask(picture(0), question, options)).problem;
  assert.match(await problem(" \n"), /^There is no question yet/);
  const long = await problem("How many cubes? ".repeat(700));
  assert.match(long, /takes \d+ tokens .* room for 496/);
  const markup = await problem("<b onclick=evil()>fox</b>");
  assert.match(markup, /^“b”, “onclick”, “evil” and 1 more are no words of this world/);
  assert.match(await problem("?!"), /no word in this question/);
  assert.match(await problem("what", { style: "loud" }), /no style “loud”/);
  const word = await problem("z".repeat(300));
  assert.ok(word.length < 120, word);
  assert.equal(await problem("What about foxes?", { anyWords: true }), null);
});

test("a limit, and a signal that stops it", async () => {
  const asked = questions[0].question;
  const { said } = await vlm.ask(picture(0), asked, { limit: 5 });
  assert.deepEqual([said[0].tokens, said[0].truncated], [5, true]);
  const stop = new AbortController();
  let heard = 0;
  const onToken = () => ++heard === 3 && stop.abort();
  const options = { signal: stop.signal, onToken };
  await assert.rejects(vlm.ask(picture(0), asked, options), { name: "AbortError" });
  assert.equal(heard, 3);
  const [a, b] = await Promise.all([vlm.ask(picture(0), asked), vlm.ask(picture(0), asked)]);
  assert.equal(a.said[0].text, b.said[0].text);
});

test("a file that is missing is named", async () => {
  const broken = (name) => (name === "step.onnx" ? Promise.reject(new Error(name)) : read(name));
  await assert.rejects(load({ read: broken }), /step\.onnx/);
  const nowhere = { folder: "http://127.0.0.1:9/model/" };
  await assert.rejects(load(nowhere), /\/model\/meta\.json cannot be loaded/);
});
