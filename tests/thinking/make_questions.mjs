/**
 * Questions that the page makes, for Python to answer: `node make_questions.mjs N` writes N of
 * them, each on a board of its own, of all families and splits, one JSON object a line.
 */
import { jitter, sampleScene, seeded } from "../../nbs/thinking/chance.js";
import { FAMILIES, makeQuestion } from "../../nbs/thinking/questions.js";

const SPLITS = ["train", "validation", "test", "ood_objects", "ood_hops", "ood_pairs"];
const random = seeded(20);
const names = [...FAMILIES.keys()];
const wanted = Number(process.argv[2]);

for (let made = 0; made < wanted; ) {
  const split = SPLITS[made % SPLITS.length];
  const scene = jitter(sampleScene(random, split), random);
  const name = names[Math.floor(made / SPLITS.length) % names.length];
  const longer = split === "ood_hops" && FAMILIES.get(name).longerHops > 0;
  const question = makeQuestion(scene, name, random, longer);
  if (!question) continue;
  console.log(JSON.stringify({ ...question, scene, split, longer }));
  made += 1;
}
