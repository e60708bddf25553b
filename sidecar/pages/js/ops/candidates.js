// Who else was considered, and why each was not chosen: a fold below a decision.

import { keyed, make, setText } from "../core/dom.js";
import { number, t, wordOr } from "../words/words.js";

/** `all`: how many there were, where `candidates` are the first of them. */
export function candidatesFold(candidates, all) {
  const fold = make("details", { class: "fold" }, make("summary"), make("ol", { class: "candidates" }));
  fold.addEventListener("toggle", () => fill(fold));
  showCandidates(fold, candidates, all);
  return fold;
}

export function showCandidates(fold, candidates, all = candidates.length) {
  setText(fold.firstChild, t("candidates", { n: all }));
  Object.assign(fold, { candidates, more: all - candidates.length });
  fill(fold);
}

/** Only what somebody opened is drawn: a stream has hundreds of folds. */
function fill(fold) {
  if (!fold.open) return;
  keyed(fold.lastChild, fold.candidates, ({ agent }) => agent, () => make("li", {}, make("bdi", { class: "name" }), make("span", { class: "num" }), make("span", { class: "chip" })), (item, each) => {
    item.dataset.chosen = String(each.chosen);
    setText(item.children[0], each.name);
    setText(item.children[1], t("taken", { n: number(each.load), limit: number(each.limit) }));
    setText(item.children[2], wordOr(`c_${each.why}`, each.why));
    item.children[2].className = each.chosen ? "chip good" : "chip";
  });
  if (fold.more > 0) fold.lastChild.append(make("li", { class: "soft", text: t("andMore", { n: fold.more }) }));
}
