// The keys: single ones do something wherever nobody writes (they can be turned off), arrows go through the list. Before it
// the person, after it the finder and the deeds.

import { singleKeys } from "./alerts.js";
import { openKeys } from "./deeds.js";
import { chooseTab, searched } from "./finder.js";
import { shownIn } from "./list.js";
import { WIDE, desk, draw, page, screen, view } from "./state.js";
import { learnLine } from "./sync.js";
import { byId, toast } from "../core/dom.js";
import { t } from "../words/words.js";

let deeds = {};

const typingIn = (node) => node.matches?.("input, textarea, select, [contenteditable]");

const KEYS = {
  j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
  Home: () => step(-Infinity), End: () => step(Infinity),
  Enter: () => { if (view.at) deeds.openRoom(view.at); },
  "/": () => { screen("list"); byId("search").focus(); byId("search").select(); },
  p: pickNext, r: () => deeds.composer.focus("reply"), n: () => deeds.composer.focus("note"),
  1: () => chooseTab("mine"), 2: () => chooseTab("queue"), 3: () => chooseTab("all"), "?": () => openKeys(true),
};
const IN_LIST_ONLY = new Set(["ArrowDown", "ArrowUp", "Home", "End", "Enter"]);

/** `given`: {openRoom(id), closeRoom(), closeDetails(), pick(session), composer} */
export function wireKeys(given) {
  deeds = given;
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !page.loaded || !byId("gate").hidden) return;
    if (document.querySelector("dialog[open], .menu:not([hidden])")) return;
    if (event.key === "Escape") return escape(event);
    if (event.target === byId("search") && ["ArrowDown", "Enter"].includes(event.key)) { event.preventDefault(); byId("rows").focus(); return step(0); }
    if (typingIn(event.target) || (event.key.length === 1 && !singleKeys())) return;
    if (IN_LIST_ONLY.has(event.key) && event.target !== byId("rows") && event.target !== document.body) return;
    const deed = KEYS[event.key];
    if (!deed || (["r", "n"].includes(event.key) && !page.open)) return;
    event.preventDefault();
    deed();
  });
}

/** The row by so many further; 0: the present one, else the first. */
export function step(by) {
  const rows = shownIn(view, desk);
  if (!rows.length) return;
  const now = rows.findIndex((session) => session.session_id === view.at);
  const to = now < 0 ? (by < 0 ? rows.length - 1 : 0) : Math.min(Math.max(now + by, 0), rows.length - 1);
  view.at = rows[to].session_id;
  byId("rows").focus({ preventScroll: true });
  draw(true);
  byId(`row-${view.at}`)?.scrollIntoView({ block: "nearest" });
}

/** Whoever stands first; where that is somebody unknown yet, they are asked for before. */
async function pickNext() {
  if (desk.head.missing.length) await learnLine(0);
  const [first] = desk.line();
  if (!first) return toast(t("emptyQueue"));
  pick(first);
}

/** Then it is opened, unless the agent has gone elsewhere while the answer was on its way. */
export async function pick(session) {
  const before = page.moves;
  if (!(await deeds.pick(session)) || page.moves !== before) return;
  chooseTab("mine");
  deeds.openRoom(session.session_id);
}

function escape(event) {
  if (deeds.composer.closePickers()) return deeds.composer.text.focus();
  if (event.target === byId("search")) { byId("search").value = ""; searched(); return byId("rows").focus(); }
  if (typingIn(event.target)) return byId("log-box").focus();
  if (!byId("details").hidden && !WIDE.matches) return deeds.closeDetails();
  if (page.open) deeds.closeRoom();
}
