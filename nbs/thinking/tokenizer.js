/**
 * The model's tokenizer: a text becomes numbers, and numbers become a text again.
 *
 * It is the byte-level BPE that `train_tokenizer` in Python learned, read from its own file
 * `tokenizer.json`. `tests/thinking/ask.test.mjs` holds it against Python's.
 */

// Python's pattern, and the same in JavaScript: what counts as a space is spelt out, because the
// two languages differ on U+0085 and U+FEFF
const PATTERN = " ?[A-Za-z0-9]+| ?[^\\sA-Za-z0-9]|\\s";
const SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WORDS = new RegExp(` ?[A-Za-z0-9]+| ?[^${SPACE}A-Za-z0-9]|[${SPACE}]`, "gu");

/** For each of the 256 bytes the letter that stands for it in the vocabulary. */
function lettersOfBytes() {
  const shown = (b) => (b > 32 && b < 127) || (b > 160 && b !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(shown(b) ? b : next++));
}

/** A rule to join two neighbours, as one number. */
const pair = (left, right) => left * 65536 + right;

/** Text into ids and back, as Python's `tokenizers` does with the same file. */
export class Tokenizer {
  /** @param {object} file - what `tokenizer.json` holds, parsed */
  constructor(file) {
    const { model } = file;
    const found = file.pre_tokenizer?.pretokenizers?.[0]?.pattern?.Regex;
    if (model?.type !== "BPE" || found !== PATTERN) {
      throw new Error("tokenizer.json is of another kind than tokenizer.js reads.");
    }
    const letters = lettersOfBytes();
    /** @type {number[]} for each byte, its id */
    this.bytes = letters.map((letter) => model.vocab[letter]);
    /** @type {Map<number, number[]>} two neighbours → [how early they join, the id of both] */
    this.merges = new Map();
    model.merges.forEach((merge, rank) => {
      const [left, right] = Array.isArray(merge) ? merge : merge.split(" ");
      const ids = [left, right, left + right].map((part) => model.vocab[part]);
      this.merges.set(pair(ids[0], ids[1]), [rank, ids[2]]);
    });
    const byteOf = new Map(letters.map((letter, byte) => [letter, byte]));
    /** @type {Map<number, Uint8Array>} id → its bytes */
    this.parts = new Map();
    /** @type {Map<string, number>} marks such as `<eos>`, which are no text */
    this.marks = new Map(file.added_tokens.map((token) => [token.content, token.id]));
    for (const [part, id] of Object.entries(model.vocab)) {
      if (!this.marks.has(part)) this.parts.set(id, Uint8Array.from(part, (c) => byteOf.get(c)));
    }
    const escaped = [...this.marks.keys()].map((m) => m.replace(/[^\w\s]/g, "\\$&"));
    this.markAt = new RegExp(`(${escaped.join("|")})`);
    this.known = new Map(); // word → ids: the same words come again and again
  }

  /**
   * @param {string} text - any text
   * @returns {number[]} ids
   */
  encode(text) {
    const ids = [];
    for (const piece of text.split(this.markAt)) {
      if (this.marks.has(piece)) ids.push(this.marks.get(piece));
      // not push(...): a long piece would be too many arguments
      else for (const [word] of piece.matchAll(WORDS)) this.word(word).forEach((i) => ids.push(i));
    }
    return ids;
  }

  /** The ids of one word: its bytes, joined pair by pair, the earliest learned pair first. */
  word(word) {
    if (this.known.has(word)) return this.known.get(word);
    let ids = Array.from(new TextEncoder().encode(word), (byte) => this.bytes[byte]);
    for (let best = this.earliest(ids); best; best = this.earliest(ids)) ids = join(ids, best);
    if (this.known.size < 10000) this.known.set(word, ids);
    return ids;
  }

  /** Of all neighbours the pair that joins first, as {key, id}; or undefined. */
  earliest(ids) {
    let best;
    for (let n = 0; n + 1 < ids.length; n++) {
      const key = pair(ids[n], ids[n + 1]);
      const [rank, id] = this.merges.get(key) ?? [Infinity, -1];
      if (rank < (best?.rank ?? Infinity)) best = { key, rank, id };
    }
    return best;
  }

  /**
   * @param {Iterable<number>} ids
   * @returns {string} their text, without marks; broken letters become U+FFFD
   */
  decode(ids) {
    const stream = this.stream();
    return Array.from(ids, (id) => stream.next(id)).join("") + stream.end();
  }

  /** A reader that gives the text of one id after the other; a letter may take several. */
  stream() {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const none = new Uint8Array();
    const next = (id) => decoder.decode(this.parts.get(id) ?? none, { stream: true });
    return { next, end: () => decoder.decode() };
  }
}

/** Join every two neighbours that are this pair, from the left. */
function join(ids, { key, id }) {
  const joined = [];
  for (let n = 0; n < ids.length; n++) {
    const fits = n + 1 < ids.length && pair(ids[n], ids[n + 1]) === key;
    joined.push(fits ? id : ids[n]);
    if (fits) n += 1;
  }
  return joined;
}
