/**
 * Draws a scene: as the pixels that the model reads, equal to those of Python's `draw_scene`,
 * and as a smooth picture (SVG) for the eyes of a visitor.
 *
 * Python draws with Pillow three times too large, without smoothing, and averages 3×3 pixels to
 * one. So do we, by Pillow's rules of which pixel belongs to a polygon and to an ellipse: the
 * model was taught on such pictures. No canvas is needed.
 *
 * @typedef {object} Ellipse
 * @property {"ellipse"} kind
 * @property {[number, number, number, number]} box  left, top, right, bottom
 * @property {number[]} fill   red, green, blue
 * @property {number} [width]  of the outline; left out: the ellipse is filled
 *
 * @typedef {object} Polygon
 * @property {"polygon"} kind
 * @property {[number, number][]} points
 * @property {number[]} fill
 */
import { CELLS, COLOURS, GRID, nameOf, sceneFrom } from "./world.js";

/** The colour of the paper. */
export const PAPER = Object.freeze([244, 241, 234]);
const ZOOM = 3;
// Pillow divides by nine in whole numbers: it multiplies with this and drops 24 bits, which
// gives one less than the quotient where nothing is left over
const NINTH = Math.floor(2 ** 32 / (256 * ZOOM * ZOOM));

/** Round to the next whole number, a half to the even one, as Python does. */
function evenRound(v) {
  const floor = Math.floor(v);
  if (v - floor !== 0.5) return Math.round(v);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** A colour with a share of another in it. */
const mix = (colour, other, share) =>
  colour.map((a, i) => evenRound(a + (other[i] - a) * share));

/** The corners of a star: its tips and, between them, its notches. */
function star(turn, n = 5, inner = 0.45) {
  return Array.from({ length: 2 * n }, (_, i) => {
    const radius = i % 2 ? inner : 1;
    const angle = turn * 0.3 - Math.PI / 2 + (i * Math.PI) / n;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}

/** What each shape is made of: (pen, colours, object, radius) → ellipses and polygons. */
const FORMS = {
  ball: (pen, { c, light }) => [
    pen.oval([-1, -1, 1, 1], c),
    pen.oval([-0.55, -0.6, -0.05, -0.1], light),
  ],
  cube: (pen, { c, light, dark }) => [
    pen.poly([[0, -1], [0.87, -0.5], [0, 0], [-0.87, -0.5]], light),
    pen.poly([[-0.87, -0.5], [0, 0], [0, 1], [-0.87, 0.5]], c),
    pen.poly([[0.87, -0.5], [0, 0], [0, 1], [0.87, 0.5]], dark),
  ],
  cone: (pen, { c, dark }) => [
    pen.oval([-0.8, 0.45, 0.8, 1], dark),
    pen.poly([[0, -1], [0.8, 0.72], [-0.8, 0.72]], c),
  ],
  star: (pen, { c }, thing) => [pen.poly(star(thing.turn ?? 0), c)],
  ring: (pen, { c }, thing, r) => [
    { ...pen.oval([-1, -1, 1, 1], c), width: Math.max(2, Math.floor(r * 0.42)) },
  ],
};

/** A pen that draws around a middle with a radius. */
const penAt = (x, y, r) => ({
  oval: ([u0, v0, u1, v1], fill) => ({
    kind: "ellipse",
    box: [x + u0 * r, y + v0 * r, x + u1 * r, y + v1 * r],
    fill,
  }),
  poly: (points, fill) => ({
    kind: "polygon",
    points: points.map(([u, v]) => [x + r * u, y + r * v]),
    fill,
  }),
});

/**
 * What an object is drawn from, in the order of drawing.
 * @param {import("./world.js").Thing} thing
 * @param {number} cellSize  pixels to a cell
 * @returns {(Ellipse | Polygon)[]}
 */
export function formsOf(thing, cellSize) {
  const r = cellSize * (thing.size === "big" ? 0.4 : 0.25);
  const room = cellSize / 2 - r * 1.02; // an object never leaves its cell
  const x = ((thing.cell % GRID) + 0.5) * cellSize + (thing.dx ?? 0) * room;
  const y = (Math.floor(thing.cell / GRID) + 0.5) * cellSize + (thing.dy ?? 0) * room;
  const c = COLOURS[thing.colour];
  const colours = { c, dark: mix(c, [0, 0, 0], 0.38), light: mix(c, [255, 255, 255], 0.4) };
  return FORMS[thing.shape](penAt(x, y, r), colours, thing, r);
}

/** A picture of one number for each pixel, on which whole rows of pixels are filled. */
class Sheet {
  constructor(side, paper) {
    this.side = side;
    this.pixels = new Uint32Array(side * side).fill(packed(paper));
    this.ink = 0;
  }

  /** Fill the pixels of row y from `left` to `right`, both included. */
  row(y, left, right) {
    if (y < 0 || y >= this.side) return;
    const start = Math.max(0, left);
    const end = Math.min(this.side - 1, right);
    if (start <= end) this.pixels.fill(this.ink, y * this.side + start, y * this.side + end + 1);
  }
}

/** A colour as one number. @param {readonly number[]} colour */
const packed = ([red, green, blue]) => (red << 16) | (green << 8) | blue;

// ---------------------------------------------------------------- ellipses

/**
 * A quarter of an ellipse as steps on a grid of half pixels: for each row, the widest and the
 * narrowest point on the curve. The curve is followed from its side to its top, each time to
 * the neighbour that lies closest to it.
 * @param {number} a  width, in half pixels from the middle to the side
 * @param {number} b  height
 * @returns {Map<number, {wide: number, narrow: number}>}  by row, from the middle
 */
function quarter(a, b) {
  const rows = new Map();
  if (a < 0 || b < 0) return rows;
  const off = (x, y) => Math.abs(a * a * y * y + b * b * x * x - a * a * b * b);
  let [x, y] = [a, b % 2];
  rows.set(y, { wide: x, narrow: x });
  while (x !== a % 2 || y !== b) {
    let next = [x, y + 2];
    const inward = x > 1 ? [[x - 2, y + 2], [x - 2, y]] : [];
    for (const other of inward) if (off(...other) < off(...next)) next = other;
    [x, y] = next;
    const row = rows.get(y);
    if (row) row.narrow = x;
    else rows.set(y, { wide: x, narrow: x });
  }
  return rows;
}

/**
 * Fill an ellipse, or its outline of a given width.
 * @param {Sheet} sheet
 * @param {Ellipse} form
 */
function fillEllipse(sheet, { box, width }) {
  const [x0, y0, x1, y1] = box.map(Math.trunc);
  const [a, b] = [x1 - x0, y1 - y0];
  const hole = width ? quarter(a - 2 * (width - 1), b - 2 * (width - 1)) : new Map();
  for (const [y, { wide }] of quarter(a, b)) {
    const from = hole.get(y)?.narrow ?? a % 2; // where there is no hole, from the middle
    for (const row of new Set([y, -y])) {
      const line = y0 + (row + b) / 2;
      sheet.row(line, x0 + (a - wide) / 2, x0 + (a - from) / 2);
      sheet.row(line, x0 + (a + from) / 2, x0 + (a + wide) / 2);
    }
  }
}

// ---------------------------------------------------------------- polygons

const single = Math.fround; // Pillow reckons edges in single precision
const awayFromZero = (v) => Math.sign(v) * Math.floor(Math.abs(v) + 0.5);

/** The edges of a polygon, those that lie flat apart. */
function edgesOf(points) {
  const corners = points.map((point) => point.map(Math.trunc));
  const edges = corners.map(([x0, y0], i) => {
    const [x1, y1] = corners[(i + 1) % corners.length];
    const slope = y0 === y1 ? 0 : single((x1 - x0) / (y1 - y0));
    const x = (y) => single(single((y - y0) * slope) + x0);
    return { top: Math.min(y0, y1), bottom: Math.max(y0, y1), slope, x, ends: [x0, x1] };
  });
  return {
    flat: edges.filter((e) => e.top === e.bottom),
    steep: edges.filter((e) => e.top !== e.bottom),
  };
}

const endsAt = (edge, y) => y === edge.top || y === edge.bottom;

/**
 * Where two slanting edges meet in a thin corner, the corner's pixel is drawn beside the pixels
 * of the next row, so that it does not stand apart.
 */
function cornerAt(edge, before, y) {
  const x = edge.x(y);
  for (const other of before) {
    if (!endsAt(other, y) || other.slope === 0) continue;
    if (awayFromZero(x) !== awayFromZero(other.x(y))) continue;
    const next = y + (y === edge.bottom ? -1 : 1);
    if (next < other.top || next > other.bottom) continue;
    const near = [edge.x(next), other.x(next)];
    const [low, high] = [Math.min(...near), Math.max(...near)];
    if (x > single(high + 1)) return awayFromZero(high) + 1;
    if (x < single(low - 1)) return awayFromZero(low) - 1;
    return x;
  }
  return x;
}

/** Where the edges cross row y, from left to right: pairs between which the row is filled. */
function crossings(edges, y, last) {
  const found = [];
  edges.forEach((edge, i) => {
    if (y < edge.top || y > edge.bottom) return;
    if (y === edge.bottom && y < last) found.push(edge.x(y), edge.x(y));
    else if (endsAt(edge, y) && edge.slope !== 0) found.push(cornerAt(edge, edges.slice(0, i), y));
    else found.push(edge.x(y));
  });
  return found.sort((a, b) => a - b);
}

/** Fill a polygon, row by row. */
function fillPolygon(sheet, { points }) {
  const { flat, steep } = edgesOf(points);
  for (const { top, ends } of flat) sheet.row(top, Math.min(...ends), Math.max(...ends));
  const first = Math.min(...[...flat, ...steep].map((e) => e.top));
  const last = Math.max(...[...flat, ...steep].map((e) => e.bottom));
  for (let y = Math.max(0, first); y <= Math.min(last, sheet.side); y += 1) {
    const xs = crossings(steep, y, last);
    for (let i = 1; i < xs.length; i += 2) {
      sheet.row(y, Math.floor(single(xs[i - 1] + 0.5)), Math.ceil(single(xs[i] - 0.5)));
    }
  }
}

// ---------------------------------------------------------------- the picture

/** The average of 3×3 pixels of the sheet, for each colour, as red, green, blue and opacity. */
function reduced(sheet, size) {
  const rgba = new Uint8ClampedArray(4 * size * size).fill(255);
  for (let i = 0; i < size * size; i += 1) {
    const corner = Math.floor(i / size) * ZOOM * sheet.side + (i % size) * ZOOM;
    const sum = [0, 0, 0];
    for (let k = 0; k < ZOOM * ZOOM; k += 1) {
      const pixel = sheet.pixels[corner + Math.floor(k / ZOOM) * sheet.side + (k % ZOOM)];
      sum[0] += pixel >> 16;
      sum[1] += (pixel >> 8) & 255;
      sum[2] += pixel & 255;
    }
    for (let k = 0; k < 3; k += 1) rgba[4 * i + k] = Math.floor(((sum[k] + 4) * NINTH) / 2 ** 24);
  }
  return rgba;
}

/**
 * The picture of a scene that the model reads.
 * @param {import("./world.js").Scene} scene
 * @param {number} [size]  side in pixels, at most 160; the ready model reads 80
 * @returns {Uint8ClampedArray}  red, green, blue, opacity of size × size pixels, as ImageData has
 */
export function drawPixels(scene, size = 80) {
  if (!Number.isInteger(size) || size < 1 || size > 160) {
    throw new RangeError(`A picture of ${size} pixels cannot be drawn: take 1 to 160.`);
  }
  const sheet = new Sheet(size * ZOOM, PAPER);
  for (const thing of sceneFrom(scene).things) {
    for (const form of formsOf(thing, (size * ZOOM) / GRID)) {
      sheet.ink = packed(form.fill);
      if (form.kind === "ellipse") fillEllipse(sheet, form);
      else fillPolygon(sheet, form);
    }
  }
  return reduced(sheet, size);
}

// ---------------------------------------------------------------- for the eyes

const hex = (colour) => "#" + colour.map((v) => v.toString(16).padStart(2, "0")).join("");
const short = (v) => String(Math.round(v * 100) / 100);

/** One ellipse or polygon as an SVG element. */
function element(form) {
  if (form.kind === "polygon") {
    const points = form.points.map((point) => point.map(short).join(",")).join(" ");
    return `<polygon points="${points}" fill="${hex(form.fill)}"/>`;
  }
  const [left, top, right, bottom] = form.box;
  const inset = (form.width ?? 0) / 2; // the outline lies within the box
  const radii = [(right - left) / 2 - inset, (bottom - top) / 2 - inset].map(short);
  const middle = [(left + right) / 2, (top + bottom) / 2].map(short);
  const paint = form.width
    ? `fill="none" stroke="${hex(form.fill)}" stroke-width="${short(form.width)}"`
    : `fill="${hex(form.fill)}"`;
  const place = `cx="${middle[0]}" cy="${middle[1]}" rx="${radii[0]}" ry="${radii[1]}"`;
  return `<ellipse ${place} ${paint}/>`;
}

/**
 * An object as the inside of an SVG, 100 units to a cell.
 * @param {import("./world.js").Thing} thing
 * @returns {string}  markup; it holds nothing but numbers and colours of ours
 */
export const thingSvg = (thing) => formsOf(thing, 100).map(element).join("");

/**
 * A whole scene as SVG markup, smooth at any size; each object is a group that names its cell.
 * @param {import("./world.js").Scene} scene
 * @returns {string}
 */
export function sceneSvg(scene) {
  const side = GRID * 100;
  const groups = sceneFrom(scene).things.map(
    (t) =>
      `<g data-cell="${CELLS[t.cell]}"><title>${nameOf(t)} ${CELLS[t.cell]}</title>` +
      `${thingSvg(t)}</g>`,
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${side} ${side}" role="img">` +
    `<rect width="${side}" height="${side}" fill="${hex(PAPER)}"/>${groups.join("")}</svg>`
  );
}
