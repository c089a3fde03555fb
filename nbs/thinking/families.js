/**
 * The families of questions: their wordings and programs, and how one with a given answer is
 * found on a board. They are those of Python's `minivlm_cot/scenes/families.py`.
 *
 * A family's wordings have gaps such as {phrase}; the words that fill them are its fields, and
 * its program is made of the fields alone. So a question can be made, and read, from one table.
 *
 * @typedef {Record<string, string>} Fields
 *
 * @typedef {object} Family
 * @property {string} name
 * @property {string} group      one_look, two_step or deep
 * @property {number} hops       steps that depend on one another
 * @property {number} longerHops hops of its longer form; 0: it has none
 * @property {readonly string[]} answers  what it may ask for
 * @property {string[]} texts    its wordings
 * @property {Record<string, string>} gaps  for each gap the pattern of what fills it
 * @property {(fields: any) => string[][]} program
 * @property {(scene, target: string, random, longer: boolean) => Fields | null} find
 *   fields of a question about the scene that has this answer
 */
import { pick, shuffled } from "./chance.js";
import { PHRASE, soleTop } from "./claims.js";
import { BACK, findAll, look, ORDINALS, tally } from "./programs.js";
import { COLOUR_NAMES, countOf, has, SHAPES, SIZES } from "./world.js";

const any = (words) => `(?:${words.join("|")})`;

/** Whole numbers as answers. */
export const numbers = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, i) => `${first + i}`);
const COLOUR = any(COLOUR_NAMES);
const PLURALS = { colour: `${COLOUR} objects`, shape: `${any(SHAPES)}s` };
const MOVE = `${any(ORDINALS)} ${any(Object.keys(BACK))}`;
const PATH = `${MOVE}(?:, ${MOVE})*`;

/** “cubes” for a shape, “red objects” for a colour; and back. */
const pluralOf = (word) => (SHAPES.includes(word) ? `${word}s` : `${word} objects`);
const singularOf = (plural) => plural.replace(/ objects$|s$/, "");

// ---------------------------------------------------------------- words for one object

const PHRASES = [
  ["colour", "shape"],
  ["size", "colour", "shape"],
  ["shape"],
  ["size", "shape"],
  ["colour"],
];

/** A description that fits an object and nothing else in the scene; undefined: there is none. */
function describe(scene, thing, random, without = null) {
  const found = PHRASES.filter((attributes) => !attributes.includes(without))
    .map((attributes) => [
      ...attributes.map((a) => thing[a]),
      ...(attributes.includes("shape") ? [] : ["object"]),
    ].join(" "))
    .filter((phrase) => findAll(scene, phrase).length === 1);
  return pick(found.slice(0, 2), random);
}

/** The next object in each direction that has one: [way, object]. */
const neighbours = (scene, thing) =>
  Object.keys(BACK)
    .map((way) => [way, look(scene, thing.cell, way).thing])
    .filter(([, next]) => next);

/** Walk back from an object by `k` moves: the start and the moves from there, or null. */
function walkBack(scene, end, k, random) {
  let [here, ways] = [end, []];
  for (let i = 0; i < k; i += 1) {
    const options = neighbours(scene, here).filter(([way]) => way !== ways[0]);
    if (!options.length) return null;
    const [way, next] = pick(options, random);
    here = next;
    ways = [BACK[way], ...ways];
  }
  return { start: here, ways };
}

/** A start that words single out, and moves to one of `ends`: fields, or null. */
function walkTo(scene, ends, k, random) {
  for (const end of shuffled(ends, random)) {
    const walk = walkBack(scene, end, k, random);
    const phrase = walk && walk.start !== end && describe(scene, walk.start, random);
    if (phrase) return { phrase, path: walk.ways.map((w, i) => `${ORDINALS[i]} ${w}`).join(", ") };
  }
  return null;
}

/** The program of a walk. */
const moves = ({ phrase, path }) => [
  ["find", phrase],
  ...path.split(", ").map((move) => ["move", ...move.split(" ").reverse()]),
];

// ---------------------------------------------------------------- the families

/** Ask for one attribute of one object. */
const oneLook = (attribute, answers, lastText) => ({
  name: `${attribute}_of`,
  group: "one_look",
  hops: 1,
  answers,
  texts: [
    `What ${attribute} is the {phrase}?`,
    `Which ${attribute} does the {phrase} have?`,
    lastText,
  ],
  gaps: { phrase: PHRASE },
  program: ({ phrase }) => [["inspect", phrase], ["query", attribute]],
  find(scene, target, random) {
    const fitting = scene.things.filter((t) => t[attribute] === target);
    for (const thing of shuffled(fitting, random)) {
      const phrase = describe(scene, thing, random, attribute);
      if (phrase) return { phrase };
    }
    return null;
  },
});

/** Ask how many objects one of these words is true of. */
const count = (attribute, words) => ({
  name: `count_${attribute}`,
  group: "two_step",
  hops: 2,
  answers: numbers(0, 5),
  texts: ["How many {plural} are there?", "How many {plural} do you see?", "Count the {plural}."],
  gaps: { plural: PLURALS[attribute] },
  program: ({ plural }) => [["count", singularOf(plural)]],
  find(scene, target, random) {
    const word = pick(words.filter((w) => countOf(scene, w) === Number(target)), random);
    return word ? { plural: pluralOf(word) } : null;
  },
});

/** All choices of `n` words. */
function palettes(words, n) {
  if (n === 0) return [[]];
  return words.flatMap((w, i) => palettes(words.slice(i + 1), n - 1).map((rest) => [w, ...rest]));
}

/** Ask for the sum of two counts, or of three. */
const ADD = {
  name: "add",
  group: "two_step",
  hops: 2,
  longerHops: 3,
  answers: numbers(1, 7),
  texts: [
    "How many {colours} objects are there together?",
    "How many objects are {colours}?",
    "Count the {colours} objects.",
  ],
  gaps: { colours: `${COLOUR}(?: and ${COLOUR}){1,2}` },
  program({ colours }) {
    const [first, ...others] = colours.split(" and ");
    return [["count", first], ...others.flatMap((word) => [["count", word], ["add"]])];
  },
  find(scene, target, random, longer) {
    const sum = (words) => words.reduce((n, w) => n + countOf(scene, w), 0);
    const all = palettes(COLOUR_NAMES, longer ? 3 : 2);
    const words = pick(all.filter((ws) => sum(ws) === Number(target)), random);
    return words ? { colours: shuffled(words, random).join(" and ") } : null;
  },
};

/** Can two counts be compared with this answer? Only close ones: there are no easy wins. */
const close = (a, b, target) => Math.abs(a - b) <= 2 && a > b === (target === "yes");

/** Ask which of two words is true of more objects. */
const COMPARE = {
  name: "compare",
  group: "two_step",
  hops: 2,
  answers: ["yes", "no"],
  texts: [
    "Are there more {plural} than {other}?",
    "Is the number of {plural} greater than the number of {other}?",
    "Do the {plural} outnumber the {other}?",
  ],
  gaps: {
    plural: `${PLURALS.colour}|${PLURALS.shape}`,
    other: `${PLURALS.colour}|${PLURALS.shape}`,
  },
  program: ({ plural, other }) => [
    ["count", singularOf(plural)],
    ["count", singularOf(other)],
    ["more"],
  ],
  find(scene, target, random) {
    for (let i = 0; i < 6; i += 1) {
      const words = shuffled([...COLOUR_NAMES, ...SHAPES], random).slice(0, 2);
      const [a, b] = words.map((w) => countOf(scene, w));
      if (a + b && close(a, b, target)) {
        return { plural: pluralOf(words[0]), other: pluralOf(words[1]) };
      }
    }
    return null;
  },
};

/** Ask for the most common colour, or shape. */
const MOST_COMMON = {
  name: "most_common",
  group: "two_step",
  hops: 2,
  answers: [...COLOUR_NAMES, ...SHAPES],
  texts: [
    "Which {attribute} is most common?",
    "What {attribute} do most objects have?",
    "Which {attribute} is seen most often?",
  ],
  gaps: { attribute: "colour|shape" },
  program: ({ attribute }) => [["most", attribute]],
  find(scene, target) {
    const attribute = COLOUR_NAMES.includes(target) ? "colour" : "shape";
    return standsOut(tally(scene.things, attribute), target) ? { attribute } : null;
  },
};

/** Is this word the one most common of several? */
const standsOut = (n, word) =>
  soleTop(n) === word && Object.values(n).filter(Boolean).length > 1;

/** Ask which of two sums of counts is greater. */
const COMPARE_SUMS = {
  name: "compare_sums",
  group: "two_step",
  hops: 3,
  answers: ["yes", "no"],
  texts: [
    "Are there more {a} and {b} objects together than {c} and {d} ones?",
    "Do the {a} and {b} objects outnumber the {c} and {d} ones?",
    "Is the number of {a} and {b} objects greater than that of {c} and {d} ones?",
  ],
  gaps: { a: COLOUR, b: COLOUR, c: COLOUR, d: COLOUR },
  program: ({ a, b, c, d }) => [
    ...[["count", a], ["count", b], ["add"]],
    ...[["count", c], ["count", d], ["add"]],
    ["more"],
  ],
  find(scene, target, random) {
    for (let i = 0; i < 8; i += 1) {
      const [a, b, c, d] = shuffled(COLOUR_NAMES, random);
      const x = countOf(scene, a) + countOf(scene, b);
      const y = countOf(scene, c) + countOf(scene, d);
      if (x + y > 2 && close(x, y, target)) return { a, b, c, d };
    }
    return null;
  },
};

const WALK_GAPS = { phrase: PHRASE, path: PATH };

/** Ask for an attribute of the object at the end of a walk. */
const walk = (attribute, answers) => ({
  name: `walk_${attribute}`,
  group: "deep",
  hops: 5,
  longerHops: 7,
  answers,
  texts: [
    `Start at the {phrase} and go {path}. What ${attribute} is the object there?`,
    `What ${attribute} is the object you reach from the {phrase} by going {path}?`,
    `From the {phrase} go {path}. Which ${attribute} do you find?`,
  ],
  gaps: WALK_GAPS,
  program: (fields) => [...moves(fields), ["query", attribute]],
  find(scene, target, random, longer) {
    const ends = scene.things.filter((t) => has(t, target));
    return walkTo(scene, ends, longer ? 5 : 3, random);
  },
});

const GOAL = "the object reached from the {phrase} by going {path}";

/** Ask how many objects are like the one at the end of a walk. */
const COUNT_LIKE = {
  name: "count_like",
  group: "deep",
  hops: 5,
  longerHops: 6,
  answers: numbers(1, 5),
  texts: [
    `How many objects have the same {attribute} as ${GOAL}, counting that one too?`,
    `How many objects share their {attribute} with ${GOAL}, counting that one too?`,
    `Count the objects with the {attribute} of ${GOAL}, that one too.`,
  ],
  gaps: { attribute: "colour|shape", ...WALK_GAPS },
  program: (fields) => [...moves(fields), ["take", fields.attribute], ["count"]],
  find(scene, target, random, longer) {
    const attribute = pick(["colour", "shape"], random);
    const ends = scene.things.filter((t) => countOf(scene, t[attribute]) === Number(target));
    const fields = walkTo(scene, ends, longer ? 3 : 2, random);
    return fields && { attribute, ...fields };
  },
};

/** Ask for the most common shape among objects coloured like the one at the end of a walk. */
const MOST_LIKE = {
  name: "most_like",
  group: "deep",
  hops: 6,
  longerHops: 7,
  answers: SHAPES,
  texts: [
    `Among the objects with the colour of ${GOAL}, that one too, which shape is most common?`,
    `Which shape is most common among the objects coloured like ${GOAL}, counting that one too?`,
    `Of all objects with the colour of ${GOAL}, that one too, which shape occurs most often?`,
  ],
  gaps: WALK_GAPS,
  program: (fields) => [...moves(fields), ["take", "colour"], ["most_shape"]],
  find(scene, target, random, longer) {
    const coloured = (colour) => scene.things.filter((t) => t.colour === colour);
    const fits = (t) => standsOut(tally(coloured(t.colour), "shape"), target);
    return walkTo(scene, scene.things.filter(fits), longer ? 3 : 2, random);
  },
};

const ALL = [
  oneLook("colour", COLOUR_NAMES, "The {phrase} has which colour?"),
  oneLook("shape", SHAPES, "The {phrase} has which shape?"),
  oneLook("size", SIZES, "Is the {phrase} small or big?"),
  count("colour", COLOUR_NAMES),
  count("shape", SHAPES),
  ADD,
  COMPARE,
  MOST_COMMON,
  walk("colour", COLOUR_NAMES),
  walk("shape", SHAPES),
  COUNT_LIKE,
  MOST_LIKE,
  COMPARE_SUMS,
];

/** All families by name. @type {Map<string, Family>} */
export const FAMILIES = new Map(ALL.map((f) => [f.name, { longerHops: 0, ...f }]));
