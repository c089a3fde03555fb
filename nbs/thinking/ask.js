/**
 * Ask the ready model about a picture, in the browser or in node.
 *
 *     const vlm = await load();
 *     const { said } = await vlm.ask(picture, "How many cubes are there?", { onToken: show });
 *
 * `minivlm_export` writes what is loaded here: three graphs (encoder; prefill; one step with its
 * cache), their weights, the tokenizer and `meta.json`. ONNX Runtime does the arithmetic; which
 * token comes next is decided here. One object answers one question at a time: later calls wait.
 */

import { elect, parseAnswer, splitChain } from "./answer.js";
import { Tokenizer } from "./tokenizer.js";

const GRAPHS = ["encoder", "prefill", "step"];
const VENDOR = new URL("./vendor/", import.meta.url);
const WASM = "ort-wasm-simd-threaded.wasm";
const BUSY = 12; // milliseconds of work, after which the page may draw

/**
 * @typedef {{data: Uint8ClampedArray|Uint8Array, width: number, height: number}} Picture RGBA
 * @typedef {object} Said - one text that the model wrote
 * @property {string} text - all of it
 * @property {string} chain - what stands before the answer; empty when asked directly
 * @property {?string} answer - null where there is none
 * @property {number} tokens - written, without the end mark
 * @property {boolean} truncated - it ran into the limit
 * @typedef {object} Asked
 * @property {?string} problem - a sentence where the question cannot be asked; else null
 * @property {Said[]} said - one for each chain
 * @property {?{answer: ?string, share: number, votes: object}} vote - of several chains
 * @property {{first: number, all: number}} seconds - until the first token, and until the end
 */

/**
 * Load the model.
 * @param {object} [options]
 * @param {string|URL} [options.folder] - of the exported model
 * @param {object} [options.ort] - ONNX Runtime; left out: the one in `vendor/`
 * @param {(name: string) => Promise<Uint8Array>} [options.read] - gives a file of the folder
 * @param {(loaded: number, all: number) => void} [options.onProgress] - in bytes, unpacked
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Vlm>}
 */
export async function load({ folder, ort, read, onProgress = () => {}, signal } = {}) {
  const base = folder ?? new URL("./model/", import.meta.url);
  const count = { loaded: 0 };
  const fetched = (name, place = base) => download(new URL(name, place), signal, count);
  const get = read ?? fetched;
  const parse = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
  const facts = parse(await get("meta.json"));
  const known = { ...facts.files };
  const ownRuntime = !ort && !read; // then it is fetched here too, and counted
  if (ownRuntime) known[WASM] = parse(await fetched("files.json", VENDOR))[WASM];
  const all = Object.values(known).reduce((sum, file) => sum + file.bytes, 0);
  count.tell = () => onProgress(Math.min(count.loaded, all), all);
  const names = ["tokenizer.json", "weights.bin", ...GRAPHS.map((name) => `${name}.onnx`)];
  const [runtime, file, weights, ...graphs] = await Promise.all([
    ort ?? vendored(ownRuntime ? fetched(WASM, VENDOR) : undefined),
    ...names.map((name) => get(name)),
  ]);
  const externalData = [{ path: "weights.bin", data: weights }];
  const how = { executionProviders: ["wasm"], externalData, logSeverityLevel: 3 };
  const sessions = {};
  for (const [n, name] of GRAPHS.entries()) {
    signal?.throwIfAborted();
    sessions[name] = await runtime.InferenceSession.create(graphs[n], how);
  }
  onProgress(all, all);
  return new Vlm(facts, new Tokenizer(parse(file)), runtime, sessions);
}

/**
 * ONNX Runtime beside this file: one thread, because static hosts allow no more.
 * @param {Promise<Uint8Array>} [binary] - its program, where it was fetched already
 */
export async function vendored(binary) {
  const [ort, bytes] = await Promise.all([import(new URL("ort.wasm.min.mjs", VENDOR)), binary]);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = VENDOR.href;
  if (bytes) ort.env.wasm.wasmBinary = bytes;
  return ort;
}

/** A file's bytes; `count` is told of each part that comes. */
async function download(url, signal, count) {
  const answer = await fetch(url, { signal }).catch((error) => {
    signal?.throwIfAborted();
    throw new Error(`${url.pathname} cannot be loaded (${error.message}).`);
  });
  if (!answer.ok) throw new Error(`${url.pathname} cannot be loaded (status ${answer.status}).`);
  const parts = [];
  const reader = answer.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    count.loaded += part.value.length;
    count.tell?.();
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** The model, loaded. */
export class Vlm {
  constructor(facts, tokenizer, ort, sessions) {
    Object.assign(this, { facts, tokenizer, ort, sessions });
    this.words = new Set(facts.words);
    this.last = Promise.resolve(); // the question before
  }

  /**
   * Why a question cannot be asked, in one sentence.
   * @param {string} question
   * @param {{style?: string, anyWords?: boolean}} [options] - anyWords: ask it whatever its words
   * @returns {?string} null where it can
   */
  problem(question, { style = "cot", anyWords = false } = {}) {
    if (!this.facts.prompts[style]) return `There is no style “${style}”: use cot or direct.`;
    if (!question.trim()) return "There is no question yet: ask something.";
    const { positions, image_tokens: seen } = this.facts;
    const read = this.tokenizer.encode(this.prompt(question, style)).length;
    if (positions && seen + read > positions) {
      const room = positions - seen;
      return `This question takes ${read} tokens and there is room for ${room}: shorten it.`;
    }
    if (anyWords || !this.words.size) return null;
    const found = question.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
    const strange = [...new Set(found)].filter((word) => !this.words.has(word));
    if (!found.length) return "There is no word in this question: ask about what is drawn.";
    return strange.length ? unknownWords(strange) : null;
  }

  /** The text that the model reads. */
  prompt(question, style) {
    return this.facts.prompts[style].split("{question}").join(question);
  }

  /**
   * Ask a question; the words come by `onToken`, everything else at the end.
   * @param {Picture} picture - RGBA, of the side that the model reads (80)
   * @param {string} question
   * @param {object} [options]
   * @param {"cot"|"direct"} [options.style] - with a chain of thought, or at once
   * @param {number} [options.temperature] - 0: the most probable tokens; above: drawn
   * @param {number|string} [options.seed] - the same seed, the same words
   * @param {number} [options.chains] - texts from one reading of picture and question
   * @param {number} [options.limit] - tokens a text may have; left out: as taught, and some
   * @param {boolean} [options.anyWords] - ask also what holds unknown words
   * @param {AbortSignal} [options.signal] - then the promise is rejected with its reason
   * @param {(text: string, chain: number) => void} [options.onToken]
   * @returns {Promise<Asked>}
   */
  ask(picture, question, options = {}) {
    const answer = this.last.then(() => this.answer(picture, question, options));
    this.last = answer.catch(() => {});
    return answer;
  }

  /** What `ask` does when it is its turn. */
  async answer(picture, question, options) {
    const { style = "cot", signal, chains = 1 } = options;
    signal?.throwIfAborted();
    const problem = this.problem(question, options);
    if (problem) return { problem, said: [], vote: null, seconds: { first: 0, all: 0 } };
    const begun = performance.now();
    const since = () => (performance.now() - begun) / 1000;
    const read = await this.read(picture, this.prompt(question, style));
    const first = since();
    const texts = await this.write(read, { ...options, chains });
    const said = texts.map((text) => ({
      ...text,
      chain: style === "cot" ? splitChain(text.text).chain : "",
      answer: parseAnswer(text.text, style),
    }));
    const vote = chains > 1 ? elect(said.map((one) => one.answer)) : null;
    return { problem: null, said, vote, seconds: { first, all: since() } };
  }

  /** Read picture and prompt once: {logits, cache} of one text. */
  async read(picture, prompt) {
    const { Tensor } = this.ort;
    const { side } = this.facts.picture;
    const pixels = new Tensor("float32", toPixels(picture, this.facts.picture), [1, 3, side, side]);
    const { image_tokens } = await this.sessions.encoder.run({ pixels });
    const ids = BigInt64Array.from(this.tokenizer.encode(prompt), BigInt);
    const tensor = new Tensor("int64", ids, [1, ids.length]);
    return this.sessions.prefill.run({ image_tokens, ids: tensor });
  }

  /** Write on, one token a round for each text that has not ended. */
  async write({ logits, cache }, options) {
    const { style = "cot", chains, limit = this.facts.limits[style], signal } = options;
    const texts = Array.from({ length: chains }, (_, n) => new Writing(n, this, options));
    let going = texts;
    logits = rows(logits, Array(chains).fill(0), this.ort.Tensor);
    cache = rows(cache, Array(chains).fill(0), this.ort.Tensor);
    for (let n = 0, since = performance.now(); n < limit; n++) {
      signal?.throwIfAborted();
      const wide = logits.dims[1];
      going.forEach((text, b) => text.take(logits.data.subarray(b * wide, (b + 1) * wide)));
      const kept = going.flatMap((text, b) => (text.ended ? [] : [b]));
      if (!kept.length || n + 1 === limit) break;
      if (kept.length < going.length) cache = rows(cache, kept, this.ort.Tensor);
      going = kept.map((b) => going[b]);
      const ids = BigInt64Array.from(going, (text) => BigInt(text.ids.at(-1)));
      const token = new this.ort.Tensor("int64", ids, [going.length, 1]);
      ({ logits, cache } = await this.sessions.step.run({ ids: token, read: cache }));
      if (performance.now() - since > BUSY) {
        await pause();
        since = performance.now();
      }
    }
    return texts.map((text) => text.done());
  }
}

/** One text that is being written. */
class Writing {
  constructor(n, vlm, { temperature = 0, seed = 0, onToken = () => {} }) {
    Object.assign(this, { n, temperature, onToken, eos: vlm.facts.eos });
    this.random = randomNumbers(`${seed}/${n}`);
    this.reader = vlm.tokenizer.stream();
    this.ids = [];
    this.text = "";
    this.ended = false;
  }

  /** Choose the next token by its logits. */
  take(logits) {
    const id = this.temperature > 0 ? draw(logits, this.temperature, this.random) : best(logits);
    this.ended = id === this.eos;
    if (this.ended) return;
    this.ids.push(id);
    this.add(this.reader.next(id));
  }

  add(text) {
    this.text += text;
    if (text) this.onToken(text, this.n);
  }

  done() {
    this.add(this.reader.end());
    return { text: this.text, tokens: this.ids.length, truncated: !this.ended };
  }
}

/** A sentence about words that are not of this world; long ones are cut. */
function unknownWords(strange) {
  const short = (word) => ([...word].length > 20 ? `${[...word].slice(0, 20).join("")}…` : word);
  const named = strange.slice(0, 3).map((word) => `“${short(word)}”`).join(", ");
  const more = strange.length > 3 ? ` and ${strange.length - 3} more` : "";
  const verb = strange.length > 1 ? "are no words" : "is no word";
  return `${named}${more} ${verb} of this world: ask about shapes, colours, sizes and places.`;
}

/**
 * A picture as the model's numbers: red, then green, then blue, in single precision, step by
 * step as Python's processor does, so that not one of them differs; transparency lies on white.
 */
export function toPixels({ data, width, height }, { side, rescale, mean, std }) {
  if (width !== side || height !== side || data.length !== 4 * side * side) {
    throw new Error(`The picture has ${width} × ${height} pixels: draw it ${side} × ${side}.`);
  }
  const size = side * side;
  const out = new Float32Array(3 * size);
  const [middle, wide] = [Float32Array.from(mean), Float32Array.from(std)];
  for (let p = 0; p < size; p++) {
    const alpha = data[4 * p + 3] / 255;
    for (let c = 0; c < 3; c++) {
      const value = Math.round(255 + (data[4 * p + c] - 255) * alpha);
      const scaled = Math.fround(value * rescale);
      out[c * size + p] = Math.fround(scaled - middle[c]) / wide[c];
    }
  }
  return out;
}

/** The rows of a tensor with these numbers, in this order. */
function rows(tensor, numbers, Tensor) {
  const size = tensor.data.length / tensor.dims[0];
  const data = new Float32Array(size * numbers.length);
  numbers.forEach((n, at) => data.set(tensor.data.subarray(n * size, (n + 1) * size), at * size));
  return new Tensor("float32", data, [numbers.length, ...tensor.dims.slice(1)]);
}

/** The number of the largest. */
function best(logits) {
  let found = 0;
  for (let n = 1; n < logits.length; n++) if (logits[n] > logits[found]) found = n;
  return found;
}

/** A token, as probable as the model thinks at this temperature. */
function draw(logits, temperature, random) {
  const most = logits[best(logits)];
  let sum = 0;
  const below = Float64Array.from(logits, (x) => (sum += Math.exp((x - most) / temperature)));
  const place = random() * sum;
  return Math.max(0, below.findIndex((b) => b > place));
}

/**
 * Random numbers 0 … 1 from a text, the same for the same text (sfc32 behind an FNV hash).
 * @returns {() => number}
 */
export function randomNumbers(text) {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 16777619);
  let [a, b, c, d] = [hash, hash ^ 0x9e3779b9, hash ^ 0x243f6a88, 1];
  const next = () => {
    const sum = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 4294967296;
  };
  for (let n = 0; n < 12; n++) next(); // so that near seeds part
  return next;
}

/** Let the page draw. */
const pause = () => globalThis.scheduler?.yield?.() ?? new Promise((go) => setTimeout(go));
