// The right panel: who the customer is, notes of colleagues, earlier visits. Before it the desk's state, after it nothing.

import { serverNow } from "./api.js";
import { paintAvatar } from "./face.js";
import { excerpt, short } from "./list.js";
import { byId, keyed, linked, make, part, setAttr, setClass, setText } from "../core/dom.js";
import { currentLanguage, dateTime, span, t } from "../words/words.js";

/** `room`: `told` once its notes and earlier visits are known. */
export function showDetails(session, { notes, told }, visits, openVisit) {
  const { customer } = session;
  paintAvatar(byId("d-avatar"), customer.name, "large");
  setText(byId("d-name"), customer.name);
  setText(byId("d-proof"), t(customer.proved ? "proved" : "notProved"));
  setClass(byId("d-proof"), customer.proved ? "proof good" : "proof soft");
  keyed(byId("facts"), facts(session), ([key]) => key, makeFact, () => {});
  for (const [key, value] of facts(session)) showFact(key, value);
  showNotes(notes);
  showVisits(visits, openVisit);
  byId("no-notes").hidden = !told || notes.length > 0;
  byId("no-visits").hidden = !told || visits.length > 0;
}

function facts(session) {
  const { customer, status, agent, created_at: began, started_at: answered, ended_at: ended, rating, rating_comment: said, session_id: id } = session;
  const seconds = (Date.parse(answered ?? ended ?? "") || serverNow()) - Date.parse(began);
  const all = [["f_email", customer.email], ["f_status", t(session.gone_at ? "gone" : `st_${status}`)], ["f_topic", inLanguage(session.topic)], ["f_queue", session.queue], ["f_agent", agent?.name], ["f_began", dateTime(began)],
    ["f_waited", span(seconds / 1000)], ["f_ended", ended && dateTime(ended)], ["f_rating", rating && "★".repeat(rating) + "☆".repeat(5 - rating)],
    ["f_comment", said], ["f_id", id]];
  return all.filter(([, value]) => value);
}

/** A topic has a label in one language or in both. */
const inLanguage = (label) => label && (label[currentLanguage()] ?? Object.values(label)[0]);

const makeFact = ([key]) => make("div", {}, make("dt", {}), make("dd", { "data-fact": key }));

function showFact(key, value) {
  const told = byId("facts").querySelector(`[data-fact="${key}"]`);
  setText(told.previousElementSibling, t(key));
  if (key === "f_rating") setAttr(told, "aria-label", t("rate", { n: [...value].filter((star) => star === "★").length }));
  if (key !== "f_email") return setText(told, value);
  if (told.textContent !== value) told.replaceChildren(mailLink(value));
}

/** May be broken before the @, so that a long address stays readable. */
function mailLink(address) {
  const at = address.lastIndexOf("@");
  return make("a", { href: `mailto:${encodeURIComponent(address).replace("%40", "@")}` }, address.slice(0, at), make("wbr"), address.slice(at));
}

function showNotes(notes) {
  setText(byId("notes-count"), notes.length || "");
  keyed(byId("notes"), [...notes].reverse(), (note) => note.id, (note) => make("li", {}, make("p", { class: "body", dir: "auto" }, linked(note.body)), make("p", { class: "soft", "data-part": "by" })),
    (node, note) => setText(part(node, "by"), t("noteBy", { name: note.agent_name, when: short(note.created_at) })));
}

function showVisits(visits, openVisit) {
  setText(byId("visits-count"), visits.length || "");
  keyed(byId("visits"), visits, (visit) => visit.session_id, (visit) => {
    const button = make("button", { type: "button", class: "visit" }, make("span", { class: "visit-head" }, make("strong", { "data-part": "when" }), make("span", { class: "stars", "data-part": "stars" })),
      make("span", { class: "soft", "data-part": "last", dir: "auto" }), make("small", { class: "soft", "data-part": "with" }));
    button.addEventListener("click", () => openVisit(visit));
    return make("li", {}, button);
  }, (node, visit) => {
    setText(part(node, "when"), dateTime(visit.created_at));
    setText(part(node, "stars"), visit.rating ? "★".repeat(visit.rating) : "");
    setText(part(node, "last"), excerpt(visit.last_message?.body ?? ""));
    setText(part(node, "with"), [visit.status !== "ended" && t(`st_${visit.status}`), visit.agent ? t("visitWith", { name: visit.agent.name }) : visit.status === "ended" && t("visitNobody")].filter(Boolean).join(" · "));
  });
}
