/* The customer says who they are, and the chat starts. Before it: nothing; after it: a session key. On the page and in
 * the widget; what was typed survives a reload of the tab.
 */

import { ask } from "./api.js";
import { byId } from "./dom.js";
import { keepDraft, recallDraft } from "./drafts.js";
import { currentLanguage, onLanguage, span, t } from "./tongue.js";

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/u;
const AGAIN_MS = 10_000;
const FIELDS = ["name", "email", "message"];

/** `tenant`: from the address or null. `kept`: the name of the drafts. `started({session_key, session_id, name, email})`.
 *  `proof`: of who the customer is, from a site that knows them: then the question alone is asked.
 *  `again()`: asks who is there, for `about`; while the form is looked at, it is true. `signal`: of its end. */
export function startForm({ tenant, started, kept, proof, again, isKnown = false, signal }) {
  const form = byId("start-view");
  const [name, email, question] = FIELDS.map((field) => form.elements[field]);
  let desk = null;
  let isBusy = false;
  const trouble = (text) => show(byId("start-trouble"), text);

  const draw = () => {
    const away = desk?.agents_online === 0;
    byId("hello-soft").textContent = t(away ? "helloAway" : "helloSoft");
    byId("start-text").textContent = t(isBusy ? "starting" : away ? "startAway" : "start");
    byId("question-optional").hidden = away || isKnown;
    const chip = byId("online-chip");
    chip.hidden = desk?.agents_online === undefined;
    chip.className = away ? "chip" : "chip good";
    chip.firstElementChild.dataset.presence = away ? "offline" : "online";
    chip.lastElementChild.textContent = t(away ? "awayNow" : "onlineNow");
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
      const answer = await ask("POST", "public/sessions", { json: body(tenant, given, proof) });
      for (const field of FIELDS) keepDraft(`${kept}-${field}`, "");
      question.value = "";
      started({ ...answer, name: given.name, email: given.email });
    } catch (error) {
      if (error.code === "invalid_payload" && /^name:/.test(error.message)) wrong(name, t("nameOdd")).focus();
      else trouble(said(error, proof));
    } finally {
      busy(false);
    }
  };

  onLanguage(draw, { signal });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = { name: name.value.trim(), email: email.value.trim(), message: question.value.trim() };
    if (!isBusy && isComplete(form, given, isKnown || desk?.agents_online === 0)) begin(given);
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

const body = (tenant, { name, email, message }, proof) => ({ ...(tenant ? { tenant_id: tenant } : {}), name, email, language: currentLanguage(), ...(message ? { message } : {}), ...(proof ? { user_hash: proof } : {}) });

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

function said({ status, code, message, retryAfter }, proof) {
  if (status === 429) return t("startTooOften", { span: span(retryAfter || 60) });
  if (code === "forbidden" && proof) return t("notProved");
  if (code === "origin_not_allowed" || code === "forbidden") return t("startForbidden");
  if (code === "not_found" || (code === "invalid_payload" && /tenant_id/.test(message))) return t("tenantUnknown");
  if (code === "invalid_payload" && /email/.test(message)) return t("emailWrong");
  return t("startFailed");
}
