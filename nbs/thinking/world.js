/**
 * The drawn world: objects on a 4×4 grid. The same words, cells and scenes as in Python's
 * `minivlm_cot/scenes/world.py`; a scene is a plain object in the form of `Scene.to_dict`.
 *
 * @typedef {object} Thing
 * @property {string} shape   one of SHAPES
 * @property {string} colour  one of COLOUR_NAMES
 * @property {string} size    one of SIZES
 * @property {number} cell    0 … 15 in reading order; its name is CELLS[cell]
 * @property {number} [dx]    where in its cell it stands: −1 (left edge) … 1 (right edge)
 * @property {number} [dy]    the same from top to bottom
 * @property {number} [turn]  a slight rotation, −1 … 1 (seen on stars)
 *
 * @typedef {{things: Thing[]}} Scene
 */

/** Red, green and blue of each colour. */
export const COLOURS = Object.freeze({
  red: [214, 48, 49],
  blue: [44, 98, 214],
  green: [52, 152, 72],
  yellow: [246, 205, 48],
  purple: [138, 74, 176],
  orange: [242, 132, 34],
});
export const COLOUR_NAMES = Object.freeze(Object.keys(COLOURS));
export const SHAPES = Object.freeze(["ball", "cube", "cone", "star", "ring"]);
export const SIZES = Object.freeze(["small", "big"]);
/** The words that may be asked for, by attribute. */
export const VALUES = Object.freeze({ colour: COLOUR_NAMES, shape: SHAPES, size: SIZES });
/** Cells per side. */
export const GRID = 4;
/** Names of the cells in reading order: a1, b1, … d4. */
export const CELLS = Object.freeze(
  Array.from({ length: GRID * GRID }, (_, i) => `${"abcd"[i % GRID]}${1 + Math.floor(i / GRID)}`),
);
/** Pairs of colour and shape that no training picture shows. */
export const HELD_OUT_PAIRS = Object.freeze(["purple ring", "green star", "orange cone"]);

/** An input that the visitor can put right; its message is one clear sentence. */
export class InputError extends Error {}

const isPlace = (v) => typeof v === "number" && v >= -1 && v <= 1;

/** Does every field hold what the grid knows? (A scene may come out of a stranger's link.) */
function isThing(t) {
  return (
    SHAPES.includes(t.shape) &&
    COLOUR_NAMES.includes(t.colour) &&
    SIZES.includes(t.size) &&
    Number.isInteger(t.cell) &&
    t.cell >= 0 &&
    t.cell < GRID * GRID &&
    [t.dx, t.dy, t.turn].every(isPlace)
  );
}

const FIELDS = ["shape", "colour", "size", "cell", "dx", "dy", "turn"];

/** An object with all its fields, those that may be left out set to the middle of the cell. */
function wholeThing(given) {
  const thing = { dx: 0, dy: 0, turn: 0, ...given };
  const known = typeof given === "object" && Object.keys(thing).every((k) => FIELDS.includes(k));
  return known && isThing(thing) ? thing : null;
}

/**
 * Read a scene from its plain object; one that was made up is refused with a sentence.
 * @param {any} dict  what `Scene.to_dict` writes
 * @returns {Scene}  its objects in reading order
 */
export function sceneFrom(dict) {
  const given = dict?.things;
  const things = Array.isArray(given) ? given.map(wholeThing) : [null];
  const cells = new Set(things.map((t) => t?.cell));
  if (things.includes(null) || cells.size !== things.length) {
    throw new InputError(
      "This is no scene: it needs a list “things” of objects as Scene.to_dict writes " +
        "them, each in a cell of its own.",
    );
  }
  return { things: things.sort((a, b) => a.cell - b.cell) };
}

/** An object in words: “small red ball”. */
export const nameOf = (thing) => `${thing.size} ${thing.colour} ${thing.shape}`;

/** Is this word, a shape, a colour or a size, true of the object? */
export const has = (thing, word) =>
  thing.shape === word || thing.colour === word || thing.size === word;

/** The object in a cell; undefined where the cell is empty. */
export const thingAt = (scene, cell) => scene.things.find((t) => t.cell === cell);

/** How many objects a word is true of. */
export const countOf = (scene, word) => scene.things.filter((t) => has(t, word)).length;

/** Name every object and where it stands, in reading order. */
export const describeScene = (scene) =>
  scene.things.map((t) => `${CELLS[t.cell]} ${nameOf(t)}`).join(", ") + ".";
