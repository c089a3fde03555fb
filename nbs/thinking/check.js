/**
 * Each step of a chain is asked for, beside the question, or false.
 * The same as Python's `minivlm_cot/scenes/checking.py`, and step by step as a chain comes in.
 *
 *     const marker = new ChainMarker({ scene, program });
 *     for await (const text of stream) show(marker.add(text)); // the steps that are finished
 *     const check = marker.end(); // all steps, and what the chain as a whole is worth
 *
 * @typedef {object} Step
 * @property {string} text     the sentence
 * @property {boolean} ok      is it true and asked for? (where no program is known: is it true?)
 * @property {string} why      what is wrong with it
 * @property {"asked" | "beside" | "false" | "true"} verdict  without a program true or false
 * @property {number[]} cells  the cells that it names
 *
 * @typedef {object} ChainCheck
 * @property {Step[]} steps
 * @property {boolean} parsed              were all its sentences understood (and were there any)?
 * @property {string | null} impliedAnswer what its last step amounts to
 * @property {boolean | null} complete     were all asked steps made? null: no program is known
 * @property {boolean} right               every step asked for and true, and none missing
 */
import { cellsIn, claimOf, PHRASE, Reader, wholly, WORD } from "./claims.js";
import { BACK, findAll, OPERATIONS, ORDINALS } from "./programs.js";
import { countOf, InputError, sceneFrom, thingAt, VALUES } from "./world.js";

const ways = Object.keys(BACK).join("|");
const PROGRAM = wholly(
  [
    `(?:find|inspect) ${PHRASE}`,
    `move (?:${ways})(?: (?:${ORDINALS.join("|")}))?`,
    `count(?: (?:${WORD}))?`,
    "(?:take|most) (?:colour|shape)",
    "query (?:colour|shape|size)",
    "add|more|most_shape",
  ].join("|"),
);
/** What an operation takes from the stack, and what it puts there. */
const NEEDS = {
  move: ["object"],
  query: ["object"],
  take: ["object"],
  most_shape: ["word"],
  add: ["number", "number"],
  more: ["number", "number"],
};
const GIVES = {
  find: "object",
  inspect: "object",
  move: "object",
  take: "word",
  count: "number",
  add: "number",
};

/** Is this an operation with its arguments? */
function isOperation(step) {
  const words = Array.isArray(step) && step.length > 0 && step.every((w) => typeof w === "string");
  return words && Object.hasOwn(OPERATIONS, step[0]) && PROGRAM.test(step.join(" "));
}

/**
 * A program whose operations exist, are whole and find what they work on; others are refused.
 * @param {any} program
 * @returns {string[][]}
 */
export function checkedProgram(program) {
  const found = [];
  for (const step of Array.isArray(program) ? program : [program]) {
    if (!isOperation(step)) {
      throw new InputError(
        `A question's program cannot hold ${String(JSON.stringify(step)).slice(0, 60)}: it is a ` +
          "list of operations with their arguments, such as ['find', 'red cube'] or " +
          `['query', 'size']; the operations are ${Object.keys(OPERATIONS).join(", ")}.`,
      );
    }
    const needed = step.join(" ") === "count" ? ["word"] : (NEEDS[step[0]] ?? []);
    const rest = found.length - needed.length;
    if (rest < 0 || needed.some((what, i) => found[rest + i] !== what)) {
      throw new InputError(
        `In a question's program, “${step.join(" ")}” needs what no operation before it ` +
          `gives: ${needed.join(" and ")}.`,
      );
    }
    found.splice(rest, Infinity, GIVES[step[0]] ?? "answer");
  }
  return program;
}

/** Turns a program into the steps that it asks for. */
class Asking {
  constructor(scene) {
    this.scene = scene;
    this.steps = []; // {what, argument}; counts whose order is free share one list of words
    this.counted = []; // for each number on the stack, the words that make it up
    this.taken = null; // the attribute that was taken
  }

  ask(what, argument) {
    this.steps.push({ what, argument });
  }

  count(word) {
    this.counted.push(word ? [word] : []);
    if (word) this.ask("count", this.counted.at(-1));
    else this.ask("taken", this.taken);
  }

  most(attribute) {
    const words = VALUES[attribute].filter((w) => countOf(this.scene, w));
    for (let left = words.length; left > 0; left -= 1) this.ask("count", words);
    this.ask("most", attribute);
  }

  /** Two numbers become one; where their order is free, their counts share a list from now on. */
  join(operation) {
    const b = this.counted.pop();
    const a = this.counted.pop();
    const left = [...a];
    if (operation === "add" || (a.length === 1 && b.length === 1)) {
      a.push(...b);
      for (const step of this.steps) if (step.argument === b) step.argument = a;
    }
    this.counted.push(a);
    this.ask(operation, left);
  }

  take(operation, words) {
    const [first] = words;
    if (operation === "find" || operation === "inspect") this.ask("find", first);
    else if (operation === "move") this.ask("move", words);
    else if (operation === "take") this.taken = first;
    else if (operation === "count") this.count(first);
    else if (operation === "most") this.most(first);
    else if (operation === "add" || operation === "more") this.join(operation);
    else if (operation === "most_shape") {
      this.ask("list", this.taken);
      this.ask("tally", null);
      this.ask("most", "shape");
    } else this.ask(operation, first);
  }
}

/** The steps that a program asks for. */
function askedSteps(scene, program) {
  const asking = new Asking(scene);
  for (const [operation, ...words] of checkedProgram(program)) asking.take(operation, words);
  return asking.steps;
}

/**
 * A step as the reader understood it.
 * @typedef {object} Said
 * @property {string | null} kind  the rule it follows; null: none
 * @property {Record<string, string | undefined>} claim  its words
 * @property {number | null} start   the cell where the chain stood before it
 * @property {number | null} place   the cell where it stands now
 * @property {string | null} listed  the word that was listed last
 * @property {boolean} false         is it false of the picture?
 */

/** Is this the move in this direction? A false one counts as an attempt at it. */
function isMove(said, way, ordinal) {
  const number = (said.claim.ordinal ?? "").toLowerCase();
  const rightNumber = said.false || !number || !ordinal || number === ordinal;
  return said.claim.way.toLowerCase() === way && rightNumber;
}

const sameList = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

/** Follows a chain through the steps of its question. */
class Asked {
  constructor(scene, program) {
    this.scene = scene;
    this.steps = askedSteps(scene, program);
    this.place = null; // the cell that the asked steps have reached
    this.seen = {}; // what was found there
    this.numbers = []; // {word, n} in turn
    this.listed = null; // the word that was listed
  }

  /** Is this step the next one? If so, it is crossed off. */
  take(said) {
    if (!this.steps.length || !this.#fits(this.steps[0], said)) return false;
    const { what, argument } = this.steps.shift();
    if (what === "count") argument.splice(argument.indexOf(said.claim.word), 1);
    this.#goOn(said);
    return true;
  }

  /** Is a step of this kind, with this argument, what was said? */
  #fits({ what, argument }, said) {
    if (what === "taken" || what === "list") {
      // about the word that was found at the end of the walk
      const word = this.seen[argument];
      const kind = what === "taken" ? "count" : what;
      return said.start === this.place && said.kind === kind && said.claim.word === word;
    }
    if (said.kind !== what) return false;
    const here = said.start === this.place;
    const { claim } = said;
    if (what === "find") {
      return sameList(findAll(this.scene, claim.phrase), findAll(this.scene, argument));
    }
    if (what === "move") return here && isMove(said, ...argument);
    if (what === "query") return here && VALUES[argument].includes(claim.value);
    if (what === "count") return argument.includes(claim.word);
    if (what === "add" || what === "more") {
      return said.false || this.#fitsNumbers(what, argument, claim);
    }
    const same = said.listed === this.listed;
    return same && (what === "tally" || VALUES[argument].includes(claim.value));
  }

  /** Are these the last two numbers? In a comparison, `left` holds the words of its left side. */
  #fitsNumbers(what, left, { a, b }) {
    const numbers = this.numbers.slice(-2);
    const said = [a, b];
    if (what === "add") return sameList(numbers.map(({ n }) => n).sort(), said.sort());
    const right = (number) => Number(!left.includes(number.word));
    const inOrder = numbers.sort((one, other) => right(one) - right(other));
    return sameList(inOrder.map(({ n }) => n), said);
  }

  /** Note what the step has reached. */
  #goOn({ kind, claim, place }) {
    if (kind === "find" || kind === "move") {
      this.place = place;
      this.seen = kind === "move" ? claim : (thingAt(this.scene, place) ?? {});
    }
    if (kind === "count") this.numbers.push({ word: claim.word, n: claim.n });
    if (kind === "add") {
      const [{ word }] = this.numbers.splice(-2);
      this.numbers.push({ word, n: claim.total });
    }
    if (kind === "list") this.listed = claim.word;
  }
}

const RESULT = { query: "value", count: "n", most: "value", add: "total" };

/** The answer that a step amounts to; null where it is none. */
function implied(kind, claim) {
  if (kind === "more") return claim.sign === ">" ? "yes" : "no";
  return claim[RESULT[kind]] ?? null;
}

/** A step with its verdict; `served`: is it asked for, or, without a program, true? */
function marked(text, fault, served, hasProgram) {
  const verdict = fault ? "false" : !hasProgram ? "true" : served ? "asked" : "beside";
  const why = fault ?? (served ? "" : "true, but beside the question");
  const ok = verdict === "asked" || verdict === "true";
  return { text: `${text}.`, ok, why, verdict, cells: cellsIn(text) };
}

// what Python counts as white space: `trim` and `\s` of JavaScript know other characters
const SPACE =
  "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const IS_SPACE = new RegExp(SPACE);
const STOP = new RegExp(`\\.${SPACE}`);

/** A text without the white space around it (a pattern would be slow on a long row of spaces). */
function stripped(text) {
  let [start, end] = [0, text.length];
  while (start < end && IS_SPACE.test(text[start])) start += 1;
  while (start < end && IS_SPACE.test(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

/** Marks a chain as it comes in. */
export class ChainMarker {
  /** @param {{scene: object, program?: string[][] | null}} example */
  constructor({ scene, program = null }) {
    const known = sceneFrom(scene);
    this.reader = new Reader(known);
    this.asked = program && program.length ? new Asked(known, program) : null;
    this.rest = ""; // what has come of the sentence that is not finished
    this.steps = [];
    this.parsed = true;
    this.implied = null;
  }

  /**
   * Take the next piece of the chain, of any length.
   * @param {string} text
   * @returns {Step[]}  the steps that it finished: a full stop and a space came after them
   */
  add(text) {
    const before = this.steps.length;
    this.rest += text;
    for (let stop = STOP.exec(this.rest); stop; stop = STOP.exec(this.rest)) {
      this.#mark(this.rest.slice(0, stop.index));
      this.rest = this.rest.slice(stop.index + 1);
    }
    return this.steps.slice(before);
  }

  /**
   * The chain is over: mark what is left of it, too.
   * @returns {ChainCheck}
   */
  end() {
    this.#mark(this.rest.replace(/\.$/, ""));
    this.rest = "";
    const complete = this.asked ? this.asked.steps.length === 0 : null;
    return {
      steps: this.steps,
      parsed: this.parsed && this.steps.length > 0,
      impliedAnswer: this.implied,
      complete,
      right: this.steps.length > 0 && this.steps.every((s) => s.ok) && complete !== false,
    };
  }

  /** Mark one sentence. */
  #mark(sentence) {
    const text = stripped(sentence);
    if (!text) return;
    const { kind, claim } = claimOf(text);
    const start = this.reader.place;
    const fault = this.reader.fault(kind, claim);
    const { place, listed } = this.reader;
    const said = { kind, claim, start, place, listed, false: fault !== null };
    const served = this.asked ? kind !== null && this.asked.take(said) : fault === null;
    this.steps.push(marked(text, fault, served, this.asked !== null));
    this.parsed &&= kind !== null;
    this.implied = implied(kind, claim);
  }
}

/**
 * Mark each step of a whole chain: asked for, beside the question, or false; without a program
 * true or false.
 * @param {string} chain  the reasoning, without its “Answer:” line
 * @param {{scene: object, program?: string[][] | null}} example
 * @returns {ChainCheck}
 */
export function checkChain(chain, example) {
  const marker = new ChainMarker(example);
  marker.add(chain);
  return marker.end();
}
