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
    const given = { name: form.elements.name.value.trim(), email: form.elements.email.value.trim(), message: form.elements.message.value.trim() };
    if (!valid(form, given)) return;
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
  for (const input of [form.elements.name, form.elements.email]) input.addEventListener("input", () => wrong(input, ""));

  const busy = (is) => {
    byId("start").disabled = is;
    if (is) byId("start-text").textContent = t("starting");
    else draw();
  };

  return {
    async show(known = {}) {
      form.elements.name.value ||= known.name ?? "";
      form.elements.email.value ||= known.email ?? "";
      draw();
      (form.elements.name.value ? form.elements.message : form.elements.name).focus();
    },
    about(found) {
      desk = found;
      draw();
    },
    trouble,
  };
}

const body = (tenant, { name, email, message }) => ({ ...(tenant ? { tenant_id: tenant } : {}), name, email, ...(message ? { message } : {}) });

function valid(form, { name, email }) {
  const nameWrong = wrong(form.elements.name, name ? "" : t("nameMissing"));
  const emailWrong = wrong(form.elements.email, EMAIL.test(email) ? "" : t("emailWrong"));
  (nameWrong ?? emailWrong)?.focus();
  return !nameWrong && !emailWrong;
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
