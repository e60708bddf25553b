// The left panel: conversations in three tabs, what the search found, and the keys that move through them.
// Before it the desk's state, after it nothing; a choice is told to `open(id)`.

import { serverNow } from "./api.js";
import { placeOf } from "./desk.js";
import { paintAvatar } from "./face.js";
import { saidIn } from "./log.js";
import { byId, keyed, make, part, setAttr, setClass, setText } from "../core/dom.js";
import { clock, dateTime, span, t } from "../words/words.js";

const DAY_MS = 86_400_000;
const LOADING_MS = 3000;
const LONG_MIN = 5; // after so many minutes people begin to leave a chat...
const LATE_MIN = 15; // ... and few are still there
const EXCERPT_MOST = 300; // characters: more than a line of the list has room for

/** What a tab shows, in its order. */
export function shownIn({ tab, show, filter, ended, agent, only }, desk) {
  const latest = (a, b) => moment(b).localeCompare(moment(a));
  const all = {
    mine: () => desk.mine().sort(latest),
    queue: () => desk.line(),
    all: () => (show === "ended" ? ended() : desk.open().sort(latest)),
  }[tab]();
  const kept = tab === "all" ? all.filter((session) => passes(session, agent, only)) : all;
  const wanted = filter.trim().toLowerCase();
  return wanted ? kept.filter((session) => matches(session, wanted)) : kept;
}

/** Unanswered: its present agent has written nothing yet, or it has none. */
const passes = (session, agent, only) =>
  (!agent || session.agent?.agent_id === agent) && (!only.unread || session.unread > 0) && (!only.unanswered || !session.answered);

const isNarrowed = ({ tab, agent, only }) => tab === "all" && Boolean(agent || only.unread || only.unanswered);

const moment = (session) => session.last_message?.created_at ?? session.created_at;

const matches = ({ customer, last_message: last }, wanted) =>
  [customer.name, customer.email, last?.body ?? ""].some((text) => text.toLowerCase().includes(wanted));

export function showList(view, desk, open) {
  const rows = shownIn(view, desk).slice(0, view.most);
  showCounts(view, desk);
  showAgents(view, desk);
  byId("rows").tabIndex = rows.length ? 0 : -1; // nothing to go through
  keyed(byId("rows"), rows, (session) => session.session_id, makeRow, (node, session) => updateRow(node, session, view, desk, open));
  setAttr(byId("rows"), "aria-activedescendant", view.at && rows.some((each) => each.session_id === view.at) ? `row-${view.at}` : null);
  showNothing(view, desk, rows.length);
}

function showCounts(view, desk) {
  const mine = desk.mine();
  const unread = mine.reduce((sum, session) => sum + (session.unread ? 1 : 0), 0);
  const line = desk.line().length;
  const counts = { mine: mine.length, queue: desk.waiting(), all: desk.open().filter((session) => session.status !== "waiting").length + desk.waiting() };
  for (const [tab, n] of Object.entries(counts)) {
    const node = document.querySelector(`[data-count="${tab}"]`);
    setText(node, n || "");
    setClass(node, `count${tab === "mine" && unread ? " fresh" : ""}`);
  }
  byId("behind").hidden = view.tab !== "queue" || desk.waiting() <= line;
  setText(byId("behind"), t("behind", { n: desk.waiting() - line }));
}

function showAgents(view, desk) {
  if (view.tab !== "all") return;
  const people = [...desk.agents.values()].sort((a, b) => a.name.localeCompare(b.name));
  keyed(byId("of-agent"), [{ agent_id: "", name: t("everybody") }, ...people], (agent) => agent.agent_id, (agent) => make("option", { value: agent.agent_id }), (node, agent) => setText(node, agent.name));
  byId("of-agent").value = view.agent;
}

function makeRow({ session_id: id }) {
  return make("li", { class: "row", role: "option", id: `row-${id}` },
    make("span", { class: "avatar", "data-part": "avatar", "aria-hidden": "true" }),
    make("div", { class: "row-text" },
      make("p", { class: "row-head" }, make("span", { class: "name", "data-part": "name", dir: "auto" }), make("time", { "data-part": "time" })),
      make("p", { class: "row-foot" }, make("span", { class: "said", "data-part": "last", dir: "auto" }), make("span", { "data-part": "mark" }))));
}

function updateRow(node, session, view, desk, open) {
  const { session_id: id, customer, status, unread, agent } = session;
  paintAvatar(part(node, "avatar"), customer.name);
  setText(part(node, "name"), customer.name);
  setText(part(node, "time"), status === "waiting" ? waited(session) : short(moment(session)));
  setText(part(node, "last"), lastLine(session, desk));
  showMark(part(node, "mark"), session, desk, view.fresh.has(id) && desk.isMine(session));
  setClass(node, `row ${status}${unread && desk.isMine(session) ? " unread" : ""}${desk.typer(id)?.by === "customer" ? " typing" : ""}`);
  setAttr(node, "aria-selected", id === open);
  setAttr(node, "data-at", id === view.at ? "" : null);
  setAttr(node, "data-agent", agent?.agent_id);
  showWait(node, session);
  showAway(node, session);
}

/** By its colour: who has waited for long is seen without reading. */
function showWait(node, { status, created_at: at }) {
  const minutes = (serverNow() - Date.parse(at)) / 60_000;
  setAttr(node, "data-wait", status !== "waiting" ? null : minutes >= LATE_MIN ? "late" : minutes >= LONG_MIN ? "long" : null);
}

/** No page of theirs is open; the first one may still be loading. */
export const isAway = ({ status, created_at: at, customer: { here } }) => status !== "ended" && here === false && serverNow() - Date.parse(at) > LOADING_MS;

function showAway(node, session) {
  const away = isAway(session);
  node.classList.toggle("away", away);
  setAttr(node, "aria-description", away ? t("pageClosed") : null);
  setAttr(part(node, "avatar"), "title", away ? t("pageClosed") : null);
}

function showMark(node, session, desk, isFresh) {
  if (session.status === "waiting") { setClass(node, "chip"); return setText(node, placeOf(session) ? t("place", { n: placeOf(session) }) : t("st_waiting")); }
  if (session.unread && desk.isMine(session)) { setClass(node, "badge"); setAttr(node, "aria-label", t("unread", { n: session.unread })); return setText(node, session.unread > 99 ? "99+" : session.unread); }
  node.removeAttribute("aria-label");
  if (isFresh) { setClass(node, "chip accent"); return setText(node, t("freshMark")); }
  if (session.rating) { setClass(node, "stars"); return setText(node, "★".repeat(session.rating)); }
  setClass(node, "soft who-has");
  setText(node, session.agent && !desk.isMine(session) ? firstName(session.agent) : "");
}

const firstName = ({ name }) => name.split(" ")[0];

function lastLine(session, desk) {
  const { session_id: id, last_message: last, customer, agent } = session;
  if (desk.typer(id)?.by === "customer") return t("isTyping", { name: firstName(customer) });
  if (!last) return customer.email;
  const said = excerpt(saidIn(last));
  if (last.sender_type !== "agent") return said;
  return agent && agent.agent_id !== desk.me.agent_id ? t("wrote", { name: firstName(agent), text: said }) : t("youWrote", { text: said });
}

/** The beginning of a message, on one line. */
export const excerpt = (body) => body.slice(0, EXCERPT_MOST).replace(/\s+/g, " ");

const waited = (session) => span((serverNow() - Date.parse(session.created_at)) / 1000);

/** Today the time, before that the date: what a list has room for. */
export function short(at) {
  const then = Date.parse(at);
  if (new Date(then).toDateString() === new Date().toDateString()) return clock(then);
  const far = Date.now() - then > 300 * DAY_MS;
  return new Date(then).toLocaleDateString(document.documentElement.lang, { day: "numeric", month: "short", ...(far ? { year: "2-digit" } : {}) });
}

/** The waiting times go on without the server. */
export function tickList(desk) {
  for (const node of byId("rows").children) {
    const session = desk.sessions.get(node.dataset.key);
    if (session?.status === "waiting") setText(part(node, "time"), waited(session));
    if (node.classList.contains("typing") && !desk.typer(node.dataset.key)) { // nobody told that it is over
      node.classList.remove("typing");
      if (session) setText(part(node, "last"), lastLine(session, desk));
    }
    if (session) showWait(node, session);
    if (session) showAway(node, session);
  }
}

function showNothing(view, desk, n) {
  const { tab, show, filter, busy } = view;
  const none = n === 0 && !busy;
  byId("no-rows").hidden = !none;
  if (!none) return;
  const kind = filter.trim() ? "Filter" : isNarrowed(view) ? "Narrowed" : { mine: "Mine", queue: "Queue", all: show === "ended" ? "Ended" : "All" }[tab];
  setText(byId("no-rows-title"), t(`empty${kind}`));
  setText(byId("no-rows-hint"), t(kind === "Mine" && desk.isBoss() ? "emptyMineBoss" : kind === "Mine" && desk.me.presence === "away" ? "emptyMineAway" : `empty${kind}Hint`));
}

// ---- search

/** Conversations and messages that the server found. `marked` parts of a snippet are shown as such, never as HTML. Of a
    `person` it is the last message as it was written: marks in it are the writer's. */
export function showFound(found, openAt) {
  byId("found").hidden = !found;
  if (!found) return byId("found-rows").replaceChildren();
  setText(byId("found-title"), foundTitle(found));
  byId("found-rows").replaceChildren(...found.results.map((hit) => foundRow(hit, openAt)));
}

function foundTitle({ busy, results, more }) {
  if (busy) return t("searching");
  if (more) return t("foundMost", { n: more });
  return t(results.length ? "foundIn" : "foundNone");
}

function foundRow({ session_id: id, customer, message, created_at: began, snippet, person }, openAt) {
  const at = message?.created_at ?? began;
  const avatar = make("span", { "aria-hidden": "true" });
  paintAvatar(avatar, customer.name, "small");
  const said = make("span", { class: "said two", dir: "auto" }, ...(person ? [excerpt(snippet)] : marked(snippet ?? message?.body ?? "")));
  const button = make("button", { type: "button", class: "row found-row" }, avatar, make("span", { class: "row-text" },
    make("span", { class: "row-head" }, make("span", { class: "name", text: customer.name, dir: "auto" }),
      make("time", { text: short(at), title: dateTime(at) })), said));
  button.addEventListener("click", () => openAt(id, message?.seq));
  return make("li", {}, button);
}

/** The server puts STX and ETX around what matched. */
function marked(snippet) {
  const [before, ...found] = snippet.split("\u0002");
  const nodes = found.flatMap((text) => {
    const [inside, ...after] = text.split("\u0003");
    return after.length ? [make("mark", { text: inside }), after.join("")] : [inside];
  });
  return [before, ...nodes].filter((each) => each !== "");
}
