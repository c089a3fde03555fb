/**
 * Boards by chance, as Python's `sample_scene` and `jitter` draw them: the same kinds of scene,
 * not the same ones, since Python has another source of chance.
 *
 * A source of chance is a function that gives numbers from 0 up to 1, such as Math.random.
 */
import { COLOUR_NAMES, GRID, HELD_OUT_PAIRS, nameOf, SHAPES, SIZES } from "./world.js";

/**
 * A source of chance that gives the same numbers for the same seed (mulberry32).
 * @param {number} seed  a whole number
 * @returns {() => number}
 */
export function seeded(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from `first` to `last`, both included. */
export const between = (first, last, random) =>
  first + Math.floor(random() * (last - first + 1));

/** One of a list; undefined of an empty one. */
export const pick = (list, random) => list[Math.floor(random() * list.length)];

/** The same in a random order. */
export function shuffled(list, random) {
  const mixed = [...list];
  for (let i = mixed.length - 1; i > 0; i -= 1) {
    const j = between(0, i, random);
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  return mixed;
}

/** Some of a list, in the list's order. */
export function some(list, n, random) {
  const taken = new Set(shuffled(list, random).slice(0, n));
  return list.filter((v) => taken.has(v));
}

/** Move each object a little within its cell, as in every picture that the model was taught. */
export function jitter(scene, random) {
  const place = () => Math.round((2 * random() - 1) * 1000) / 1000;
  const things = scene.things.map((t) => ({ ...t, dx: place(), dy: place(), turn: place() }));
  return { things };
}

const CRC = Array.from({ length: 256 }, (_, i) => {
  let c = i;
  for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c >>> 0;
});

/** The checksum CRC-32 of a text of plain letters. */
function crc32(text) {
  let crc = 0xffffffff;
  for (const letter of text) crc = CRC[(crc ^ letter.charCodeAt(0)) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * The bucket of a scene, 0 … 3, whatever its jitter. Training took its scenes from 0 and 1.
 * @param {import("./world.js").Scene} scene  its objects in reading order, as `sceneFrom` gives it
 */
export const sceneBucket = (scene) =>
  crc32(scene.things.map((t) => `${t.cell} ${nameOf(t)};`).join("")) % 4;

const isHeldOut = (t) => HELD_OUT_PAIRS.includes(`${t.colour} ${t.shape}`);

/** May training have seen this scene? (Those of other buckets, and held-out pairs, never.) */
export const maybeTrained = (scene) => {
  const { length } = scene.things;
  const usual = length >= 3 && length <= 9 && !scene.things.some(isHeldOut);
  return usual && sceneBucket(scene) < 2;
};

const BUCKETS = { train: [0, 1], validation: [2], test: [3], ood_hops: [3] };

/** All kinds of object with these colours and shapes. */
function kindsOf(colours, shapes) {
  const pairs = colours.flatMap((colour) => shapes.map((shape) => ({ shape, colour })));
  return pairs.flatMap((pair) => SIZES.map((size) => ({ ...pair, size })));
}

/** A board with any objects of a split; it may turn out not to belong to the split. */
function anyScene(random, split) {
  const n = split === "ood_objects" ? between(10, 12, random) : between(3, 9, random);
  const colours = some(COLOUR_NAMES, between(2, 6, random), random);
  const shapes = some(SHAPES, between(2, 5, random), random);
  const kinds = kindsOf(colours, shapes).filter((t) => split === "ood_pairs" || !isHeldOut(t));
  const cells = some([...Array(GRID * GRID).keys()], n, random);
  if (!kinds.length) return null;
  return { things: cells.map((cell) => ({ ...pick(kinds, random), cell, dx: 0, dy: 0, turn: 0 })) };
}

/**
 * A random scene that belongs to a split, without jitter.
 * @param {() => number} random
 * @param {string} [split]  train, validation, test, ood_objects, ood_hops or ood_pairs
 * @returns {import("./world.js").Scene}
 */
export function sampleScene(random, split = "test") {
  for (;;) {
    const scene = anyScene(random, split);
    if (!scene || (split === "ood_pairs" && !scene.things.some(isHeldOut))) continue;
    if (!(split in BUCKETS) || BUCKETS[split].includes(sceneBucket(scene))) return scene;
  }
}
