/** The pictures of the thinking page are those that Python draws. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { drawPixels, sceneSvg } from "../../nbs/thinking/draw.js";
import { sceneBucket } from "../../nbs/thinking/chance.js";
import { COLOURS, describeScene, InputError, sceneFrom, SHAPES } from "../../nbs/thinking/world.js";
import { bytes, rows, skip } from "./golden.mjs";

const SIDE = 80;
const SCENE = {
  things: SHAPES.map((shape, i) => {
    const colour = Object.keys(COLOURS)[i];
    return { shape, colour, size: i % 2 ? "big" : "small", cell: 3 * i, dx: 0.5, dy: -1, turn: 0 };
  }),
};

/** How a picture of ours (with opacity) differs from one of Python's (without). */
function compared(ours, theirs) {
  let [most, sum] = [0, 0];
  for (let i = 0; i < theirs.length; i += 1) {
    const off = Math.abs(ours[Math.floor(i / 3) * 4 + (i % 3)] - theirs[i]);
    sum += off;
    most = Math.max(most, off);
  }
  return { most, mean: sum / theirs.length };
}

test("a picture has 80 by 80 pixels, opaque, each object within its cell", () => {
  const pixels = drawPixels(SCENE);
  assert.ok(pixels instanceof Uint8ClampedArray);
  assert.equal(pixels.length, 4 * SIDE * SIDE);
  const empty = drawPixels({ things: [] });
  assert.deepEqual([...empty.slice(0, 4)], [244, 241, 234, 255]);
  for (const thing of SCENE.things) {
    const alone = drawPixels({ things: [thing] });
    for (let i = 0; i < SIDE * SIDE; i += 1) {
      const cell = 4 * Math.floor(i / SIDE / 20) + Math.floor((i % SIDE) / 20);
      if (cell !== thing.cell) assert.equal(alone[4 * i], empty[4 * i], `${thing.shape} at ${i}`);
    }
  }
});

test("a scene of a stranger is refused with a sentence", () => {
  const odd = [null, {}, { things: [{ ...SCENE.things[0], colour: "constructor" }] }];
  for (const scene of odd) assert.throws(() => drawPixels(scene), InputError);
  assert.throws(() => drawPixels(SCENE, 0), RangeError);
});

test("the smooth picture has a group for each object", () => {
  const svg = sceneSvg(SCENE);
  assert.equal(svg.match(/<g data-cell=/g).length, SHAPES.length);
  assert.match(svg, /^<svg [^>]*viewBox="0 0 400 400"/);
  assert.ok(!svg.includes("NaN") && !svg.includes("undefined"));
});

test("a scene is described", () => {
  assert.equal(describeScene(sceneFrom(SCENE)).split(",")[0], "a1 small red ball");
});

test("2,000 scenes of all splits are drawn as Python draws them", { skip }, () => {
  const scenes = rows("scenes.jsonl.gz");
  const theirs = bytes("pictures.rgb.gz");
  const size = 3 * SIDE * SIDE;
  let [most, sum, same] = [0, 0, 0];
  const ours = scenes.map(({ things }) => drawPixels({ things }));
  ours.forEach((pixels, i) => {
    const off = compared(pixels, theirs.subarray(i * size, (i + 1) * size));
    most = Math.max(most, off.most);
    sum += off.mean;
    same += off.most === 0;
  });
  const mean = sum / scenes.length;
  console.log(`${scenes.length} pictures: ${same} identical, at most ${most} apart, mean ${mean}`);
  assert.equal(scenes.length, 2000);
  assert.ok(same >= 0.99 * scenes.length);
});

test("a scene is in the bucket that Python puts it in", { skip }, () => {
  for (const { things, bucket } of rows("scenes.jsonl.gz")) {
    assert.equal(sceneBucket({ things }), bucket);
  }
});
