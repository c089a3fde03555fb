/**
 * Draws scenes for Python: reads a JSON list of them, writes raw pixels, 80 × 80 × 3 bytes each.
 */
import { readFileSync, writeSync } from "node:fs";

import { drawPixels } from "../../nbs/thinking/draw.js";

for (const scene of JSON.parse(readFileSync(0, "utf8"))) {
  const colours = drawPixels(scene).filter((_, i) => i % 4 !== 3); // without opacity
  for (let sent = 0; sent < colours.length; ) sent += writeSync(1, colours, sent);
}
