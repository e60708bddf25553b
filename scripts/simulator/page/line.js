// The waiting line: who waits, in order, and for how long.

import { knownOf } from "./customer.js";
import { byId, el, keyed, part, setAttr, setText } from "./dom.js";
import { number, span, t, wordOr } from "./words.js";

export function showLine(state, since) {
  const rows = state.waiting.map((row, index) => ({ ...row, place: index + 1 }));
  keyed(byId("line"), rows, (row) => row.room, makeRow, updateRow);
  setText(byId("line-count"), number(state.waiting_total));
  byId("line-empty").hidden = rows.length > 0;
  const unseen = state.waiting_total - rows.length;
  byId("line-more").hidden = unseen <= 0;
  setText(byId("line-more"), t("more", { n: number(unseen) }));
  tickLine(state, since);
}

/** Between two messages of the stream the seconds go on here. */
export function tickLine(state, since) {
  const gone = (performance.now() - since) / 1000;
  const nodes = byId("line").children;
  state.waiting.forEach((row, index) => setText(part(nodes[index], "time"), span(row.waiting_s + gone)));
}

function makeRow(row) {
  return el("li", { cls: "waiting" },
    el("span", { cls: "place", "data-part": "place" }),
    el("div", { cls: "who" }, el("strong", { "data-part": "name" }), el("span", { cls: "facts", "data-part": "facts" }), el("span", { cls: "facts", "data-part": "known" }), el("span", { cls: "said", "data-part": "said" })),
    el("time", { "data-part": "time" }),
    el("button", { type: "button", cls: "quiet icon", "data-more": row.room, "data-part": "more", text: "⋯" }));
}

function updateRow(node, row) {
  setText(part(node, "place"), row.place);
  setText(part(node, "name"), row.name);
  setText(part(node, "facts"), factsOf(row));
  show(part(node, "known"), knownOf(row).join(" · "));
  show(part(node, "said"), row.said.length ? t("botSaid", { text: row.said.at(-1) }) : "");
  setAttr(part(node, "more"), "aria-label", t("moreOf", { name: row.name }));
}

function show(node, text) {
  node.hidden = !text;
  setText(node, text);
}

function factsOf(row) {
  const facts = [row.room];
  if (row.messages > 1) facts.push(t("messages", { n: row.messages }));
  if (row.returning) facts.push(t("back"));
  facts.push(wordOr("c", row.source));
  return facts.join(" · ");
}
