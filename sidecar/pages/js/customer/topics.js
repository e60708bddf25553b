/* What the chat is about, where the tenant's rules have topics: a choice in the start form. */

import { byId, make } from "../core/dom.js";
import { keepDraft, recallDraft } from "../core/drafts.js";
import { currentLanguage, t } from "../words/tongue.js";

/** `kept`: the name of the draft. `wanted`: the site's own choice, which the customer may change. */
export function topicChoice({ kept, wanted = "" }) {
  const field = byId("topic-field");
  const choice = byId("topic");
  let drawn = "";
  let chosen = recallDraft(kept) || wanted;

  choice.addEventListener("change", () => {
    chosen = choice.value;
    keepDraft(kept, chosen);
  });
  return {
    /** `topics`: labels by language; undefined where they are not known yet. */
    draw(topics = []) {
      field.hidden = !topics.length;
      const all = [["", t("topicNone")], ...topics.map((label) => [nameOf(label), label[currentLanguage()] ?? nameOf(label)])];
      if (drawn === JSON.stringify(all)) return; // an open list stays open
      drawn = JSON.stringify(all);
      choice.replaceChildren(...all.map(([value, text]) => make("option", { value, text })));
      choice.value = nameOf(topics.find((label) => Object.values(label).some((one) => isSame(one, chosen))) ?? {});
    },
    get value() {
      return drawn ? choice.value : wanted;
    },
    forget: () => keepDraft(kept, ""),
  };
}

const nameOf = (label) => Object.values(label)[0] ?? "";
const isSame = (one, other) => one.toLowerCase() === String(other).trim().toLowerCase();
