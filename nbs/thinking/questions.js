/**
 * Questions with the program that answers them: made for a board (“surprise me”), and read back
 * from what a visitor typed.
 *
 * @typedef {object} Question
 * @property {string} family
 * @property {string} group
 * @property {string} question
 * @property {string[][]} program
 * @property {string} answer
 * @property {string} chain  the right chain of thought
 */
import { between, pick, shuffled } from "./chance.js";
import { soleTop, wholly } from "./claims.js";
import { FAMILIES, numbers } from "./families.js";
import { runProgram, tally } from "./programs.js";
import { COLOUR_NAMES, has, InputError, sceneFrom, SHAPES, SIZES } from "./world.js";

export { FAMILIES };

// ---------------------------------------------------------------- making

const fill = (text, fields) => text.replace(/\{(\w+)\}/g, (_, gap) => fields[gap]);
const TRIES = 20; // of each answer: a walk that leads nowhere does not mean that there is none

/**
 * Make a question of a family about a board, with its right answer and chain.
 * @param {import("./world.js").Scene} scene
 * @param {string} name  of the family
 * @param {() => number} [random]
 * @param {boolean} [longer]  ask in the longer form, where the family has one
 * @returns {Question | null}  null: none was found that has one answer on this board
 */
export function makeQuestion(scene, name, random = Math.random, longer = false) {
  const family = FAMILIES.get(name);
  if (!family) {
    const known = [...FAMILIES.keys()].join(", ");
    throw new InputError(`There is no question family “${name}”: take one of ${known}.`);
  }
  const known = sceneFrom(scene);
  for (let i = 0; i < TRIES; i += 1) {
    for (const target of shuffled(family.answers, random)) {
      const fields = family.find(known, target, random, longer && family.longerHops > 0);
      if (!fields) continue;
      const program = family.program(fields);
      const question = fill(pick(family.texts, random), fields);
      const { group } = family;
      return { family: name, group, question, program, ...runProgram(known, program) };
    }
  }
  return null;
}

/**
 * Make a question of any family that can ask about this board.
 * @returns {Question | null}  null on an empty board
 */
export function surprise(scene, random = Math.random) {
  if (!scene.things.length) return null; // “none” would be right, and dull
  for (const name of shuffled([...FAMILIES.keys()], random)) {
    const question = makeQuestion(scene, name, random);
    if (question) return question;
  }
  return null;
}

/** Choices for an answer, the answer among them: two or four, as Python's rows have them. */
export function choicesFor(answer, random = Math.random) {
  for (const few of [["yes", "no"], SIZES]) {
    if (few.includes(answer)) return shuffled(few, random);
  }
  if (/^\d+$/.test(answer)) {
    const first = between(Math.max(0, answer - 3), Number(answer), random);
    return shuffled(numbers(first, first + 3), random);
  }
  const words = COLOUR_NAMES.includes(answer) ? COLOUR_NAMES : SHAPES;
  const others = shuffled(words.filter((w) => w !== answer), random).slice(0, 3);
  return shuffled([answer, ...others], random);
}

// ---------------------------------------------------------------- reading

/** The pattern of a wording: its gaps are filled with what the family allows there. */
function patternOf(text, gaps) {
  const plain = text.replace(/[.?]/g, "\\$&").replace(/\\[.?]$/, "[.?]?");
  const found = plain.replace(/\{(\w+)\}/g, (_, gap) => `(?<${gap}>${gaps[gap]})`);
  return new RegExp(wholly(found).source, "i");
}

const PATTERNS = [...FAMILIES.values()].flatMap((family) =>
  family.texts.map((text) => ({ family, pattern: patternOf(text, family.gaps) })),
);
const LONGEST = 500; // letters; the longest question of a family has fewer than 200

/**
 * Read a question of a known wording: capitals, spaces and the mark at its end do not matter.
 * @param {string} text  what a visitor typed
 * @returns {{family: string, program: string[][]} | null}  null: it has no such wording
 */
export function readQuestion(text) {
  if (text.length > LONGEST) return null;
  const plain = text.trim().replace(/\s+/g, " ");
  for (const { family, pattern } of PATTERNS) {
    const match = pattern.exec(plain);
    if (!match) continue;
    const fields = Object.entries(match.groups).map(([gap, v]) => [gap, v.toLowerCase()]);
    const program = family.program(Object.fromEntries(fields));
    return { family: family.name, program };
  }
  return null;
}

/** Does a program that asks for what is most common find two that share the place? */
function sharesPlace(scene, program) {
  const [operation, attribute] = program.at(-1);
  if (operation === "most") return soleTop(tally(scene.things, attribute)) === null;
  if (operation !== "most_shape") return false;
  const { answer: colour } = runProgram(scene, program.slice(0, -1)); // what it asks about
  return soleTop(tally(scene.things.filter((t) => has(t, colour)), "shape")) === null;
}

/**
 * The answer and the right chain of a program on a board, where it has one answer.
 * @param {import("./world.js").Scene} scene
 * @param {string[][]} program
 * @returns {{answer: string, chain: string, why: ""} | {answer: null, chain: null, why: string}}
 *   `why`: the reason that there is no one answer, in a sentence
 */
export function truthOf(scene, program) {
  const known = sceneFrom(scene);
  try {
    const found = runProgram(known, program);
    if (!sharesPlace(known, program)) return { ...found, why: "" };
    return { answer: null, chain: null, why: "Several share the place of the most common." };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { answer: null, chain: null, why: error.message };
  }
}
