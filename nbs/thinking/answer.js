/**
 * What a model wrote: where its chain ends, what it answers, and what several chains elect.
 *
 * A port of `split_chain` and `parse_answer` (dataset.prompts) and `elect` (reasoning.votes).
 */

const LEAD =
  "(?:(?:so|thus|hence|therefore),?\\s+)?(?:(?:the|my)\\s+)?(?:(?:final|correct|right)\\s+)?";
const START = "(?:^|(?<=[.!?]\\s))[ \\t#>]*"; // of a line or of a sentence
const COLON = "[*_`]{0,3}(?:\\s+is)?\\s*[:：][*_`]{0,3}";
const MARK = new RegExp(
  `(?:${START}(?<open>[*_\`]{0,3})${LEAD}answer` +
    `|(?<open2>[*_\`]{0,3})A(?:nswer|NSWER))${COLON}`,
  "gim",
);
const SAYS = new RegExp(`${START}(?<open>[*_\`]{0,3})${LEAD}answer\\s+is\\s+`, "gim");
const NEXT = /^[ \t]*[#*_`>]{0,3}[ \t]*Question[*_`]{0,3}\s*[:：]/m;

/** The part of a text before a new question begins. */
const untilNext = (text) => text.split(NEXT, 1)[0];

/** The last form of “Answer:”; where there is none, the last “The answer is”. */
function lastMark(text) {
  const capital = (m) =>
    m.groups.open2 === undefined || m[0].replace(/^[*_`]+/, "").startsWith("A");
  const marks = [...text.matchAll(MARK)].filter(capital);
  return (marks.length ? marks : [...text.matchAll(SAYS)]).at(-1);
}

/** The first line that is not empty, or null. */
function firstLine(text) {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim());
  return lines.find((line) => line) ?? null;
}

/**
 * Cut a text at its last “Answer:”, before any new question.
 * @param {string} written - all that the model wrote with a chain
 * @returns {{chain: string, answer: ?string}} the answer is null where there is none
 */
export function splitChain(written) {
  const text = untilNext(written);
  const mark = lastMark(text);
  if (!mark) return { chain: text.trim(), answer: null };
  let answer = firstLine(text.slice(mark.index + mark[0].length));
  const dress = mark.groups.open || mark.groups.open2 || "";
  if (answer && dress && answer.split(dress).length % 2 === 0 && answer.endsWith(dress)) {
    answer = answer.slice(0, -dress.length).trim(); // “**Answer: red**”
  }
  return { chain: text.slice(0, mark.index).trim(), answer: answer || null };
}

/**
 * Take the answer from what the model wrote.
 * @param {string} written
 * @param {"cot"|"direct"} style
 * @returns {?string} null where there is none
 */
export function parseAnswer(written, style) {
  const text = untilNext(written);
  return style === "cot" || lastMark(text) ? splitChain(text).answer : firstLine(text);
}

/** An answer as it is counted: small letters, without marks at its end. */
const bare = (answer) => (answer ?? "").toLowerCase().replace(/[\s.,;:!?…]+$/, "").trim();

/**
 * The answer of most chains; the first of a tie wins.
 * @param {Array<?string>} answers - of each chain
 * @returns {{answer: ?string, share: number, votes: Object<string, number>}} share of all chains
 */
export function elect(answers) {
  const votes = new Map();
  for (const answer of answers) {
    if (bare(answer)) votes.set(bare(answer), (votes.get(bare(answer)) ?? 0) + 1);
  }
  const most = Math.max(0, ...votes.values());
  const winner = [...votes.keys()].find((answer) => votes.get(answer) === most);
  const answer = answers.find((a) => winner !== undefined && bare(a) === winner) ?? null;
  return { answer, share: most / Math.max(1, answers.length), votes: Object.fromEntries(votes) };
}
