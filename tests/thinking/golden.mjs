/**
 * Reads what Python said: the files that `python tools/golden.py FOLDER` writes.
 * Where GOLDEN names no folder, the tests that need them are skipped aloud.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

export const folder = process.env.GOLDEN;
export const skip = folder ? false : "set GOLDEN to a folder made by tools/golden.py";

/** The bytes of a packed file. */
export const bytes = (name) => gunzipSync(readFileSync(join(folder, name)));

/** The objects of a packed file of JSON lines. */
export const rows = (name) =>
  bytes(name).toString("utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
