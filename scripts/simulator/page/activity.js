// What happened, the newest on top. A burst is shown by its newest part; the history of the control API has all of it.

import { byId, el } from "./dom.js";
import { clock, known, span, t, wordOr } from "./words.js";

const SHOWN = 250;
const GROUPS = {
  arrived: "chats", message: "chats", assigned: "chats", removed: "chats", resolved: "chats", presence: "chats", said: "chats", division: "chats",
  webhook: "webhooks", call: "trouble", fault: "trouble", reset: "chats",
};

let events = [];
let filter = "all";

export function addEvents(news) {
  const fresh = news.filter((event) => worthShowing(event) && !(events[0] && event.n <= events[0].n));
  events = [...fresh.reverse(), ...events].slice(0, SHOWN);
  const list = byId("activity");
  list.prepend(...fresh.filter(passes).map(makeEvent));
  while (list.childElementCount > SHOWN) list.lastElementChild.remove();
  showEmpty();
}

/** After a restart or a change of the app the numbers begin again. */
export function forgetEvents() {
  events = [];
  showEvents();
}

export function filterEvents(wanted) {
  filter = wanted;
  showEvents();
}

export function showEvents() {
  byId("activity").replaceChildren(...events.filter(passes).map(makeEvent));
  showEmpty();
}

function showEmpty() {
  byId("activity-empty").hidden = byId("activity").childElementCount > 0;
}

/** An assign that went well is told by `assigned`, a seat freed by a resolve by `resolved`. */
function worthShowing(event) {
  if (event.kind === "look" || event.change === "added") return false;
  if (event.kind === "call") return event.outcome !== "200";
  return !(event.kind === "removed" && event.by === "resolve");
}

function passes(event) {
  return filter === "all" || GROUPS[event.kind] === filter || (filter === "trouble" && toneOf(event) === "bad");
}

function makeEvent(event) {
  return el("li", { cls: `event ${toneOf(event)}`, "data-kind": event.kind },
    el("span", { cls: "spot", "aria-hidden": "true" }),
    el("span", { text: textOf(event) }),
    el("time", { text: clock(event.wall) }),
    ...detailOf(event));
}

function toneOf(event) {
  if (event.kind === "webhook") return event.outcome.startsWith("2") ? "hook" : "bad";
  if (event.kind === "call" || event.kind === "fault") return "bad";
  return { assigned: "good", resolved: "calm", arrived: "new" }[event.kind] ?? "plain";
}

function textOf(event) {
  const facts = { name: event.name, agent: event.agent_name, room: event.room, by: event.by_name, endpoint: wordOr("p", event.endpoint) };
  switch (event.kind) {
    case "arrived": return t(event.returning ? "e_arrivedBack" : "e_arrived", facts);
    case "assigned": return t(event.by === "supervisor" ? "e_byHand" : "e_assigned", facts);
    case "presence": return t(event.deleted ? "e_deleted" : "deleted" in event ? "e_hired" : event.online ? "e_online" : "e_offline", facts);
    case "division": return t(event.change === "deleted" ? "e_divisionGone" : "e_division", { name: event.name, n: event.members.length });
    case "webhook": return t(event.hook === "caa" ? "e_caa" : "e_resolvedHook", facts);
    case "fault": return t(event.room ? "e_faultRoom" : "e_fault", facts);
    default: return t(`e_${event.kind}`, facts);
  }
}

function detailOf(event) {
  const details = [];
  if (event.kind === "assigned") details.push(t("after", { s: waited(event.waited_s) }));
  if (event.kind === "said") details.push(event.text);
  if (event.kind === "webhook") details.push(...hookDetails(event));
  if (event.kind === "call" || event.kind === "fault")
    details.push(event.error ? `${event.outcome} ${event.error}` : wordOr("k", event.outcome));
  return details.length ? [el("span", { cls: "detail", text: details.join(" · ") })] : [];
}

/** Short waits are what this page is about: finer where they are short. */
function waited(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ${t("u_ms")}`;
  return seconds < 10 ? `${seconds.toFixed(1)} ${t("u_s")}` : span(seconds);
}

function hookDetails(event) {
  const details = [event.room, known(event.outcome) ? t(event.outcome) : event.outcome];
  if (event.status) details.push(known(event.status) ? t(event.status) : event.status);
  if (event.position) details.push(t("place", { n: event.position }));
  if (event.ms !== undefined) details.push(`${Math.round(event.ms)} ${t("u_ms")}`);
  return details;
}
