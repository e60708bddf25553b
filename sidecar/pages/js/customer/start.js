/* The customer says who they are, and the chat starts. Before it: nothing; after it: a session key. On the page and in
 * the widget; what was typed survives a reload of the tab.
 */

import { ask } from "../core/api.js";
import { whenClosed } from "./closed.js";
import { topicChoice } from "./topics.js";
import { byId } from "../core/dom.js";
import { keepDraft, recallDraft } from "../core/drafts.js";
import { currentLanguage, onLanguage, span, t } from "../words/tongue.js";

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/u;
const AGAIN_MS = 10_000;
const FIELDS = ["name", "email", "message"];

/** `tenant`: from the address or null. `kept`: the name of the drafts. `started({session_key, session_id, name, email})`.
 *  `proof`: of who the customer is, from a site that knows them: then the question alone is asked. `known`: what else
 *  the site tells of them, `{properties, propertiesHash, topic}`.
 *  `again()`: asks who is there, for `about`; while the form is looked at, it is true. `signal`: of its end. */
export function startForm({ tenant, started, kept, proof, known: told = {}, again, isKnown = false, signal }) {
  const form = byId("start-view");
  const [name, email, question] = FIELDS.map((field) => form.elements[field]);
  const topics = topicChoice({ kept: `${kept}-topic`, wanted: told.topic });
  let desk = null;
  let isBusy = false;
  const trouble = (text) => show(byId("start-trouble"), text);

  const isAway = () => desk?.agents_online === 0 || Boolean(desk?.closed);
  const draw = () => {
    const closed = desk?.closed;
    const away = isAway();
    byId("hello-soft").textContent = closed ? whenClosed(closed, "helloClosed") : t(away ? "helloAway" : "helloSoft");
    byId("start-text").textContent = t(isBusy ? "starting" : away ? "startAway" : "start");
    byId("question-optional").hidden = away || isKnown;
    const chip = byId("online-chip");
    chip.hidden = desk?.agents_online === undefined;
    chip.className = away ? "chip" : "chip good";
    chip.firstElementChild.dataset.presence = away ? "offline" : "online";
    chip.lastElementChild.textContent = t(closed ? "closedNow" : away ? "awayNow" : "onlineNow");
    topics.draw(desk?.topics);
  };
  const busy = (is) => {
    isBusy = is;
    byId("start").setAttribute("aria-disabled", String(is)); // not disabled: it would lose the focus
    draw();
  };
  const begin = async (given) => {
    busy(true);
    trouble("");
    try {
      const answer = await ask("POST", "public/sessions", { json: body(tenant, given, proof, told) });
      for (const field of FIELDS) keepDraft(`${kept}-${field}`, "");
      topics.forget();
      question.value = "";
      started({ ...answer, name: given.name, email: given.email });
    } catch (error) {
      if (error.code === "invalid_payload" && /^name:/.test(error.message)) wrong(name, t("nameOdd")).focus();
      else trouble(said(error, proof || told.propertiesHash));
      if (isOfTopic(error)) again();
    } finally {
      busy(false);
    }
  };

  onLanguage(draw, { signal });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = { name: name.value.trim(), email: email.value.trim(), message: question.value.trim(), topic: topics.value };
    if (!isBusy && isComplete(form, given, isKnown || isAway())) begin(given);
  });
  for (const input of [name, email, question]) {
    input.addEventListener("input", () => {
      wrong(input, "");
      keepDraft(`${kept}-${input.name}`, input.value);
    });
  }

  const lookAgain = () => !document.hidden && form.getClientRects().length && again();
  const timer = setInterval(lookAgain, AGAIN_MS);
  document.addEventListener("visibilitychange", lookAgain, { signal });
  signal?.addEventListener("abort", () => clearInterval(timer));

  return {
    /** `draft`: what was typed into a chat that is over. */
    show(known = {}, draft = "") {
      name.value ||= recallDraft(`${kept}-name`) || (known.name ?? "");
      email.value ||= recallDraft(`${kept}-email`) || (known.email ?? "");
      question.value ||= draft || recallDraft(`${kept}-message`);
      draw();
    },
    /** Where the customer goes on. */
    get place() {
      return [name, email].find((input) => input.type !== "hidden" && !input.value) ?? question;
    },
    about(found) {
      desk = found;
      draw();
    },
    takeQuestion() {
      const typed = question.value.trim();
      question.value = "";
      keepDraft(`${kept}-message`, "");
      return typed;
    },
    trouble,
  };
}

function body(tenant, { name, email, message, topic }, proof, { properties, propertiesHash }) {
  const optional = { tenant_id: tenant, message, topic, user_hash: proof, properties, properties_hash: propertiesHash };
  return { name, email, language: currentLanguage(), ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value)) };
}

const isOfTopic = ({ code, message }) => code === "invalid_payload" && /^topic:/.test(message);

/** Where nobody is there to ask back, the question itself is needed. Marks what is missing, and goes to the first. */
function isComplete(form, { name, email, message }, needsQuestion) {
  const nameWrong = wrong(form.elements.name, name ? "" : t("nameMissing"));
  const emailWrong = wrong(form.elements.email, EMAIL.test(email) ? "" : t("emailWrong"));
  const questionWrong = wrong(form.elements.message, needsQuestion && !message ? t("questionMissing") : "");
  (nameWrong ?? emailWrong ?? questionWrong)?.focus();
  return !nameWrong && !emailWrong && !questionWrong;
}

/** Marks the field; gives it where it is wrong. */
function wrong(input, text) {
  const place = byId(`${input.id}-wrong`);
  const hint = byId(`${input.id}-hint`); // one line for both
  if (place) show(place, text);
  if (place) place.hidden = !text && Boolean(hint);
  if (hint) hint.hidden = Boolean(text);
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  return text ? input : null;
}

function show(node, text) {
  node.textContent = text;
  node.hidden = !text;
}

function said(error, proof) {
  const { status, code, message, retryAfter } = error;
  if (isOfTopic(error)) return t("topicGone");
  if (status === 429) return t("startTooOften", { span: span(retryAfter || 60) });
  if (code === "forbidden" && proof) return t("notProved");
  if (code === "origin_not_allowed" || code === "forbidden") return t("startForbidden");
  if (code === "not_found" || (code === "invalid_payload" && /tenant_id/.test(message))) return t("tenantUnknown");
  if (code === "invalid_payload" && /email/.test(message)) return t("emailWrong");
  return t("startFailed");
}
