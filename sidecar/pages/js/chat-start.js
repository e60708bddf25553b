/* The customer says who they are, and the chat starts. Before it: nothing; after it: chat.js with a session key. */

import { ask } from "./api.js";
import { byId } from "./dom.js";
import { onLanguage, span, t } from "./words.js";

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/u;
const KNOWN = { origin_not_allowed: "startForbidden", forbidden: "startForbidden" };

/** `tenant`: from the address or null. `started({session_key, session_id, name, email})`. */
export function startForm({ tenant, started }) {
  const form = byId("start-view");
  let desk = null;
  let isBusy = false;
  const trouble = (text) => show(byId("start-trouble"), text);

  const draw = () => {
    const away = desk?.agents_online === 0;
    byId("hello-soft").textContent = t(away ? "helloAway" : "helloSoft");
    byId("start-text").textContent = t(away ? "startAway" : "start");
    byId("question-optional").hidden = away;
    const chip = byId("online-chip");
    chip.hidden = desk?.agents_online === undefined;
    chip.className = away ? "chip" : "chip good";
    chip.firstElementChild.dataset.presence = away ? "offline" : "online";
    chip.lastElementChild.textContent = t(away ? "awayNow" : "onlineNow");
  };
  onLanguage(draw);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isBusy) return;
    const given = { name: form.elements.name.value.trim(), email: form.elements.email.value.trim(), message: form.elements.message.value.trim() };
    if (!valid(form, given, desk?.agents_online === 0)) return;
    busy(true);
    trouble("");
    try {
      const answer = await ask("POST", "public/sessions", { json: body(tenant, given) });
      form.elements.message.value = "";
      started({ ...answer, name: given.name, email: given.email });
    } catch (error) {
      trouble(said(error));
    } finally {
      busy(false);
    }
  });
  for (const input of [form.elements.name, form.elements.email, form.elements.message]) input.addEventListener("input", () => wrong(input, ""));

  const busy = (is) => {
    isBusy = is;
    byId("start").setAttribute("aria-disabled", String(is)); // not disabled: it would lose the focus
    if (is) byId("start-text").textContent = t("starting");
    else draw();
  };

  return {
    /** `draft`: what was typed into a chat that is over. */
    show(known = {}, draft = "") {
      form.elements.name.value ||= known.name ?? "";
      form.elements.email.value ||= known.email ?? "";
      form.elements.message.value ||= draft;
      draw();
      (form.elements.name.value ? form.elements.message : form.elements.name).focus();
    },
    about(found) {
      desk = found;
      draw();
    },
    takeQuestion() {
      const typed = form.elements.message.value.trim();
      form.elements.message.value = "";
      return typed;
    },
    trouble,
  };
}

const body = (tenant, { name, email, message }) => ({ ...(tenant ? { tenant_id: tenant } : {}), name, email, ...(message ? { message } : {}) });

/** Where nobody is there to ask back, the question itself is needed. */
function valid(form, { name, email, message }, nobodyIsThere) {
  const nameWrong = wrong(form.elements.name, name ? "" : t("nameMissing"));
  const emailWrong = wrong(form.elements.email, EMAIL.test(email) ? "" : t("emailWrong"));
  const questionWrong = wrong(form.elements.message, nobodyIsThere && !message ? t("questionMissing") : "");
  (nameWrong ?? emailWrong ?? questionWrong)?.focus();
  return !nameWrong && !emailWrong && !questionWrong;
}

/** Marks the field; gives it where it is wrong. */
function wrong(input, text) {
  show(byId(`${input.id}-wrong`), text);
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  return text ? input : null;
}

function show(node, text) {
  node.textContent = text;
  node.hidden = !text;
}

function said({ status, code, message, retryAfter }) {
  if (status === 429) return t("startTooOften", { span: span(retryAfter || 60) });
  if (code in KNOWN) return t(KNOWN[code]);
  if (code === "invalid_payload" && /tenant_id/.test(message)) return t("tenantUnknown");
  if (code === "not_found") return t("tenantUnknown");
  if (code === "invalid_payload" && /email/.test(message)) return t("emailWrong");
  return t("startFailed");
}
