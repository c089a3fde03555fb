/**
 * Run a program on a scene: it gives the answer, and tells its steps on the way.
 * The same as Python's `minivlm_cot/scenes/programs.py`.
 *
 * A program is a list of operations with their arguments, such as
 * [["find", "red cube"], ["move", "right", "first"], ["query", "size"]].
 */
import { CELLS, GRID, has, InputError, nameOf, SHAPES, thingAt, VALUES } from "./world.js";

/** The way back from each direction. */
export const BACK = Object.freeze({ right: "left", left: "right", up: "down", down: "up" });
export const ORDINALS = Object.freeze(["first", "second", "third", "fourth", "fifth"]);
const DIRECTION = { right: [1, 0], left: [-1, 0], up: [0, -1], down: [0, 1] };

/**
 * Look from a cell in a direction until an object or the edge.
 * @param {import("./world.js").Scene} scene
 * @param {number} cell  where to start, 0 … 15
 * @param {string} way   right, left, up or down
 * @returns {{passed: number[], thing: import("./world.js").Thing | null}}
 *   the empty cells passed, and the object met
 */
export function look(scene, cell, way) {
  const [dx, dy] = DIRECTION[way];
  const inside = (v) => v >= 0 && v < GRID;
  const passed = [];
  let [x, y] = [(cell % GRID) + dx, Math.floor(cell / GRID) + dy];
  for (; inside(x) && inside(y); x += dx, y += dy) {
    const thing = thingAt(scene, y * GRID + x);
    if (thing) return { passed, thing };
    passed.push(y * GRID + x);
  }
  return { passed, thing: null };
}

/** All objects that a phrase (“red cube”, “small object”, …) is true of. */
export function findAll(scene, phrase) {
  const words = phrase.split(/\s+/).filter((w) => w && w !== "object");
  return scene.things.filter((t) => words.every((w) => has(t, w)));
}

/** The objects a word is true of, numbered, and how many they are. */
export function countList(scene, word) {
  const cells = scene.things.filter((t) => has(t, word)).map((t) => CELLS[t.cell]);
  const items = cells.map((cell, i) => `${i + 1} ${word} ${cell}`).join(", ");
  return `${word}: ${items || "none"}, so ${cells.length}.`;
}

/** The objects a word is true of, each with its shape and the running count of that shape. */
export function shapeList(scene, word) {
  const seen = tally([], "shape");
  const items = scene.things
    .filter((t) => has(t, word))
    .map((t) => `${word} ${CELLS[t.cell]} ${t.shape} ${(seen[t.shape] += 1)}`);
  return `${word}: ${items.join(", ") || "none"}.`;
}

/**
 * How often each value of an attribute occurs, those that do not occur as well.
 * @returns {Record<string, number>}
 */
export function tally(things, attribute) {
  const n = Object.fromEntries(VALUES[attribute].map((value) => [value, 0]));
  for (const t of things) n[t[attribute]] += 1;
  return n;
}

/** How often each shape that occurs does, in words: “ball 1, cube 2”. */
export function tallied(n) {
  return SHAPES.filter((s) => n[s]).map((s) => `${s} ${n[s]}`).join(", ");
}

/** The word with the highest count; of several, that of the first object in reading order. */
function topOf(things, attribute) {
  const n = tally(things, attribute);
  const words = things.map((t) => t[attribute]);
  return words.reduce((best, w) => (n[w] > n[best] ? w : best), words[0]);
}

/** The one object that a phrase is true of; where there are none or several, that is said. */
function theOne(scene, phrase) {
  const fitting = findAll(scene, phrase);
  if (fitting.length !== 1) {
    throw new InputError(
      `“the ${phrase}” must be true of one object, and ${fitting.length} here fit it.`,
    );
  }
  return fitting[0];
}

/** Count all values of an attribute that occur, and say which is most common. */
function most(run, attribute) {
  const n = tally(run.scene.things, attribute);
  const words = VALUES[attribute].filter((w) => n[w]);
  for (const w of words) run.say(countList(run.scene, w));
  const top = words.reduce((best, w) => (n[w] > n[best] ? w : best), words[0]);
  if (top === undefined) throw new InputError("Nothing is most common on an empty board.");
  run.say(`Most: ${top}.`);
  run.stack.push(top);
}

/** Say which shape is most common among what the word on the stack is true of. */
function mostShape(run) {
  const word = run.stack.pop();
  const things = run.scene.things.filter((t) => has(t, word));
  const top = topOf(things, "shape");
  run.say(shapeList(run.scene, word));
  run.say(`${tallied(tally(things, "shape"))}.`);
  run.say(`Most: ${top}.`);
  run.stack.push(top);
}

/** Go on from the object on the stack to the next one in a direction. */
function move(run, way, ordinal = "") {
  const from = run.stack.pop();
  const { passed, thing } = look(run.scene, from.cell, way);
  if (!thing) throw new InputError(`There is nothing ${way} of ${CELLS[from.cell]}.`);
  const words = `${ordinal} ${way}`.trim();
  const empty = passed.map((c) => `${CELLS[c]} empty, `).join("");
  const start = words[0].toUpperCase() + words.slice(1);
  run.say(`${start}: ${empty}${CELLS[thing.cell]} ${thing.colour} ${thing.shape}.`);
  run.stack.push(thing);
}

/** Take the two numbers on the stack, say what is made of them, and put the result there. */
function onTwo(run, say, result) {
  const b = run.stack.pop();
  const a = run.stack.pop();
  run.say(say(a, b));
  run.stack.push(result(a, b));
}

/** The sign that stands between two numbers. */
export const signOf = (a, b) => (a > b ? ">" : a < b ? "<" : "=");

/** What each operation does: it works on a stack and says its step. */
export const OPERATIONS = Object.freeze({
  find(run, phrase) {
    const thing = theOne(run.scene, phrase);
    run.stack.push(thing);
    run.say(`Look: ${phrase} ${CELLS[thing.cell]}.`);
  },
  inspect(run, phrase) {
    const thing = theOne(run.scene, phrase);
    run.stack.push(thing);
    run.say(`Look: ${phrase} ${CELLS[thing.cell]} ${nameOf(thing)}.`);
  },
  move,
  query(run, attribute) {
    const value = run.stack.pop()[attribute];
    run.stack.push(value);
    run.say(`It is ${SHAPES.includes(value) ? "a " : ""}${value}.`);
  },
  take(run, attribute) {
    // the next operation says it, so it needs no words
    run.stack.push(run.stack.pop()[attribute]);
  },
  count(run, word = run.stack.pop()) {
    run.stack.push(run.scene.things.filter((t) => has(t, word)).length);
    run.say(countList(run.scene, word));
  },
  add(run) {
    onTwo(run, (a, b) => `${a} + ${b} = ${a + b}.`, (a, b) => a + b);
  },
  more(run) {
    const answer = (a, b) => (a > b ? "yes" : "no");
    onTwo(run, (a, b) => `${a} ${signOf(a, b)} ${b}.`, answer);
  },
  most,
  most_shape: mostShape,
});

/**
 * Run a program on a scene.
 * @param {import("./world.js").Scene} scene
 * @param {string[][]} program
 * @returns {{answer: string, chain: string}}  the answer, and what it said on the way
 */
export function runProgram(scene, program) {
  const said = [];
  const run = { scene, stack: [], say: (sentence) => said.push(sentence) };
  for (const [operation, ...words] of program) OPERATIONS[operation](run, ...words);
  return { answer: String(run.stack.pop()), chain: said.join(" ") };
}
