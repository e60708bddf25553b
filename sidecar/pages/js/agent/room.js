// The middle panel: the conversation's head, its messages, and the bar that says why one may (not) write.
// Before it the desk's state, after it nothing; what the person does is told to the deeds.

import { serverNow } from "./api.js";
import { placeOf } from "./desk.js";
import { paintAvatar } from "./face.js";
import { isAway, short } from "./list.js";
import { nodeOf, showLog } from "./log.js";
import { byId, setAttr, setText } from "../core/dom.js";
import { currentLanguage, span, t } from "../words/words.js";

const NEAR_PX = 90;
const LIT_MS = 2400; // as long as the animation of .flash
let lit = 0;
let below = 0; // messages that came while somebody read further up
let shownId = "";
let shownLast = 0;
let drawn = "";
let stuck = true; // at the end: it stays there while pictures load and messages come

const sizes = new ResizeObserver(() => { if (stuck) toEnd(); });
sizes.observe(byId("log"));
sizes.observe(byId("log-box")); // the composer grows, somebody types
byId("log-box").addEventListener("scroll", () => { stuck = isAtEnd(); showBelow(); }, { passive: true });

export function showRoom(session, desk, facts) {
  byId("no-room").hidden = Boolean(session);
  byId("room").hidden = !session;
  if (!session) { shownId = drawn = ""; return; }
  showHead(session, desk);
  showBar(session, desk, facts.stuck);
  showRows(session, desk, facts);
  showTyping(session, desk);
}

function showHead(session, desk) {
  const { customer, status } = session;
  const mine = desk.isMine(session);
  paintAvatar(byId("room-avatar"), customer.name);
  setText(byId("room-name"), customer.name);
  showState(session, desk);
  byId("pick").hidden = status !== "waiting" || Boolean(session.gone_at);
  byId("take").hidden = status !== "active" || mine || !desk.isBoss();
  byId("give").hidden = status === "ended" || Boolean(session.gone_at) || (status === "active" && !mine && !desk.isBoss());
  for (const id of ["give-text", "give-item"]) setText(byId(id), t(status === "waiting" ? "assign" : "transfer"));
  setAttr(byId("give"), "title", byId("give-text").textContent);
  byId("end").hidden = !(mine || (desk.isBoss() && status !== "ended"));
  for (const item of document.querySelectorAll("[data-deed]")) item.hidden = byId(item.dataset.deed).hidden;
}

export function showState(session, desk) {
  const { status, created_at: since, ended_at: ended, agent } = session;
  const position = placeOf(session);
  const time = span((serverNow() - Date.parse(since)) / 1000);
  const words = {
    waiting: () => (session.gone_at ? t("goneState", { time: span((serverNow() - Date.parse(session.gone_at)) / 1000) }) : position ? t("waitingPlace", { n: position, time }) : t("waitingSince", { time })),
    active: () => (desk.isMine(session) ? t("withYou") : t("withAgent", { name: agent?.name ?? "" })),
    ended: () => t("endedState", { when: short(ended) }),
  };
  setText(byId("room-state"), words[status]());
  const away = isAway(session) && !session.gone_at;
  setText(byId("room-away"), away ? ` · ${t("awaySince", { time: span((serverNow() - Date.parse(session.customer.seen_at)) / 1000) })}` : "");
  byId("room-state").dataset.status = status;
}

const BAR_ICONS = { waiting: "#i-chat", ended: "#i-check", watching: "#i-eye", stuck: "#i-lock" };

/** `stuck`: a reply was begun that may not be sent any more. */
function showBar(session, desk, stuck) {
  const { status, agent } = session;
  const name = agent?.name ?? "";
  const kind = stuck ? "stuck" : status === "waiting" ? "waiting" : status === "ended" ? "ended" : desk.isMine(session) ? "" : "watching";
  byId("bar").hidden = !kind;
  if (!kind) return;
  byId("bar").dataset.kind = kind;
  setAttr(byId("bar-icon"), "href", BAR_ICONS[kind]);
  const text = { waiting: () => t(session.gone_at ? "goneBar" : desk.isBoss() ? "waitingBarBoss" : "waitingBar"), ended: () => t("endedBar", { when: short(session.ended_at) }), watching: () => t(desk.isBoss() ? "watchingBoss" : "watching", { name }), stuck: () => t(`stuck_${status}`, { name }) };
  setText(byId("bar-text"), text[kind]());
  byId("bar-deed").hidden = !stuck;
  setText(byId("bar-deed"), t("writeNote"));
}

function showRows(session, desk, facts) {
  const id = session.session_id;
  const moved = id !== shownId;
  const atEnd = moved || stuck;
  const room = desk.room(id);
  byId("loading").hidden = room.loaded && !room.holed;
  const look = lookOf(session, room, facts.pending);
  if (look === drawn && byId("log").hasChildNodes()) return showBelow();
  showLog(byId("log"), { ...facts, session, room, me: desk.me });
  drawn = look;
  const last = room.messages.at(-1);
  if (moved) below = 0;
  else if (!atEnd && last?.seq > shownLast && last.sender_type === "customer") below += 1;
  shownId = id;
  shownLast = last?.seq ?? 0;
  if (atEnd) toEnd();
  else showBelow();
}

/** All that the rows depend on: a long conversation is not gone through again because something happened elsewhere. */
function lookOf({ session_id: id, customer_read: read, customer_got: got }, { messages, notes }, pending) {
  const unsent = pending.map((letter) => letter.client_id + letter.failed).join();
  return [id, messages.length, messages.at(-1)?.seq, notes.length, read, got, unsent, currentLanguage()].join("|");
}

export function isAtEnd() {
  const box = byId("log-box");
  return box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
}

export function showBelow() {
  if (isAtEnd()) below = 0;
  byId("to-end").hidden = isAtEnd();
  setText(byId("to-end-text"), below ? t("newMessages", { n: below }) : t("toLatest"));
}

export function toEnd() {
  below = 0;
  stuck = true;
  byId("log-box").scrollTop = byId("log-box").scrollHeight;
  showBelow();
}

/** A message that a search found, in the middle of the panel and lit for a moment. */
export function flash(session, seq) {
  const node = nodeOf(byId("log"), session, seq);
  if (!node) return;
  stuck = false;
  node.scrollIntoView({ block: "center" });
  clearTimeout(lit);
  for (const other of byId("log").querySelectorAll(".flash")) other.classList.remove("flash");
  node.classList.add("flash");
  lit = setTimeout(() => node.classList.remove("flash"), LIT_MS); // where nothing may move there is no end of an animation
}

export function showTyping(session, desk) {
  const typing = session && desk.typer(session.session_id);
  byId("typing").classList.toggle("on", Boolean(typing));
  setText(byId("typing-text"), typing ? t("isTyping", { name: typing.name || session.customer.name }) : "");
}
