/**
 * A grammar turns the sentences of a chain into claims that can be checked.
 * The same as Python's `minivlm_cot/scenes/claims.py`.
 */
import {
  countList,
  findAll,
  look,
  ORDINALS,
  shapeList,
  signOf,
  tallied,
  tally,
} from "./programs.js";
import { CELLS, COLOUR_NAMES, has, nameOf, SHAPES, SIZES, thingAt } from "./world.js";

const any = (words) => words.join("|");
const SHAPE = any(SHAPES);
const CELL = "[a-d][1-4]";
const NUMBER = "(?:0|[1-9][0-9]{0,3})"; // no other script's digits, and no endless number
const title = (word) => word[0].toUpperCase() + word.slice(1);
const WAY = "[Rr]ight|[Ll]eft|[Uu]p|[Dd]own";
const THING = `(?<cell>${CELL}) (?<colour>${any(COLOUR_NAMES)}) (?<shape>${SHAPE})`;

/** Patterns that the checker needs as well. */
export const WORD = any([...COLOUR_NAMES, ...SHAPES]);
export const PHRASE = `(?:(?:${any(SIZES)}) )?(?:(?:${any(COLOUR_NAMES)}) )?(?:${SHAPE}|object)`;

/** A pattern that the whole text must follow. */
export const wholly = (pattern) => new RegExp(`^(?:${pattern})$`);

/** The rule of one or more items with commas between them. */
const several = (item) => `${item}(?:, ${item})*`;

const COUNTED = several(`${NUMBER} (?:${WORD}) ${CELL}`);
const TALLIED = `(?:${SHAPE}) ${NUMBER}`;
const LISTED = several(`(?:${WORD}) ${CELL} ${TALLIED}`);
const ORDINAL = any(ORDINALS.map(title));
const RULES = {
  find: `Look: (?<phrase>${PHRASE}) (?<cell>${CELL})(?: (?<what>${PHRASE}))?`,
  move: `(?:(?<ordinal>${ORDINAL}) )?(?<way>${WAY}): (?<passed>(?:${CELL} empty, )*)${THING}`,
  query: `It is (?:a )?(?<value>${WORD}|${any(SIZES)})`,
  count: `(?<word>${WORD}): (?<cells>none|${COUNTED}), so (?<n>${NUMBER})`,
  list: `(?<word>${WORD}): (?<items>none|${LISTED})`,
  tally: `(?<items>${several(TALLIED)})`,
  most: `Most: (?<value>${WORD})`,
  add: `(?<a>${NUMBER}) \\+ (?<b>${NUMBER}) = (?<total>${NUMBER})`,
  more: `(?<a>${NUMBER}) (?<sign>[<=>]) (?<b>${NUMBER})`,
};
/** @type {[string, RegExp][]} */
const GRAMMAR = Object.entries(RULES).map(([kind, rule]) => [kind, wholly(rule)]);

/**
 * What a sentence claims.
 * @param {string} text  a sentence without its full stop
 * @returns {{kind: string | null, claim: Record<string, string | undefined>}}
 *   the kind of step and its words; no kind where it is no step
 */
export function claimOf(text) {
  for (const [kind, rule] of GRAMMAR) {
    const match = rule.exec(text);
    if (match) return { kind, claim: { ...match.groups } };
  }
  return { kind: null, claim: {} };
}

/** The cells that a sentence names, as numbers in reading order of the sentence. */
export function cellsIn(text) {
  return (text.match(/\b[a-d][1-4]\b/g) ?? []).map((name) => CELLS.indexOf(name));
}

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
const sameNumbers = (a, b) => `${sorted(a)}` === `${sorted(b)}`;
const withoutStop = (sentence) => sentence.replace(/\.+$/, "");

/** Reads a chain's claims about a scene, one at a time. */
export class Reader {
  constructor(scene) {
    this.scene = scene;
    this.place = null; // the cell where the chain stands
    this.moves = 0; // moves made to get there
    this.counts = []; // what it has counted
    this.listed = null; // the word it has listed
  }

  /** What is wrong with a claim; null: it is true of the scene. */
  fault(kind, claim) {
    return kind === null ? "not a step that the checker knows" : this[kind](claim);
  }

  /** Look: red cube b1 */
  find({ phrase, cell, what }) {
    this.moves = 0;
    this.place = CELLS.indexOf(cell);
    const there = thingAt(this.scene, this.place);
    const fitting = findAll(this.scene, phrase);
    if (!fitting.includes(there) || (what && what !== nameOf(there))) {
      return there ? `${cell} holds the ${nameOf(there)}` : `${cell} is empty`;
    }
    return fitting.length === 1 ? null : `${fitting.length} objects fit “${phrase}”`;
  }

  /** First right: c1 empty, d1 blue ball */
  move({ ordinal, way, passed, cell, colour, shape }) {
    if (this.place === null) return "no starting place was named";
    const start = this.place;
    this.place = CELLS.indexOf(cell);
    this.moves += 1;
    const said = ordinal?.toLowerCase();
    if (said && said !== ORDINALS[this.moves - 1]) {
      return `this is move number ${this.moves}, not the ${said}`;
    }
    const seen = look(this.scene, start, way.toLowerCase());
    const direction = `${way.toLowerCase()} of ${CELLS[start]}`;
    if (!seen.thing) return `there is nothing ${direction}`;
    if (seen.thing.cell !== this.place || `${cellsIn(passed)}` !== `${seen.passed}`) {
      return `the next object ${direction} is at ${CELLS[seen.thing.cell]}`;
    }
    const fits = has(seen.thing, colour) && has(seen.thing, shape);
    return fits ? null : `${cell} holds the ${nameOf(seen.thing)}`;
  }

  /** It is blue */
  query({ value }) {
    const thing = this.place === null ? undefined : thingAt(this.scene, this.place);
    if (!thing) return "there is no object to speak of";
    return has(thing, value) ? null : `${CELLS[this.place]} holds the ${nameOf(thing)}`;
  }

  /** red: 1 red b1, 2 red b4, so 2 */
  count({ word, cells, n }) {
    this.counts.push(Number(n));
    const truth = countList(this.scene, word);
    return `${word}: ${cells}, so ${n}.` === truth ? null : `in truth ${withoutStop(truth)}`;
  }

  /** red: red b1 cube 1, red b4 ball 1 */
  list({ word, items }) {
    this.listed = word;
    const truth = shapeList(this.scene, word);
    return `${word}: ${items}.` === truth ? null : `in truth ${withoutStop(truth)}`;
  }

  /** The objects that a tally is of: those listed; where nothing was listed, all. */
  #tallied() {
    return this.scene.things.filter((t) => this.listed === null || has(t, this.listed));
  }

  /** ball 1, cube 1 */
  tally({ items }) {
    if (this.listed === null) return "nothing was listed";
    const truth = tallied(tally(this.#tallied(), "shape"));
    return items === truth ? null : `in truth ${truth || "none"}`;
  }

  /** Most: cube */
  most({ value }) {
    const attribute = COLOUR_NAMES.includes(value) ? "colour" : "shape";
    const top = soleTop(tally(this.#tallied(), attribute));
    return value === top ? null : `in truth ${top ?? "no single one"}`;
  }

  /** 2 + 1 = 3 */
  add({ a, b, total }) {
    const terms = this.counts.slice(-2);
    this.counts = [...this.counts.slice(0, -2), Number(total)];
    if (!sameNumbers(terms, [Number(a), Number(b)])) return "these are not the two counts before";
    const sum = terms[0] + terms[1];
    return sum === Number(total) ? null : `in truth ${sum}`;
  }

  /** 3 > 1 */
  more({ a, sign, b }) {
    const terms = [Number(a), Number(b)];
    if (!sameNumbers(this.counts.slice(-2), terms)) return "these are not the two counts before";
    const truth = signOf(...terms);
    return sign === truth ? null : `in truth ${a} ${truth} ${b}`;
  }
}

/** The one most common word of a tally; null where none occurs or two share the place. */
export function soleTop(n) {
  const most = Math.max(0, ...Object.values(n));
  const words = Object.keys(n).filter((w) => most > 0 && n[w] === most);
  return words.length === 1 ? words[0] : null;
}
