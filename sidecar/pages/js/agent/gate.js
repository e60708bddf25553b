// Signing in and out. Before it the person, after it the socket; the page behind the gate stays as it is, drafts too.

import { Refused, ask, keepTenant, keepToken } from "./api.js";
import { quietly } from "./notices.js";
import { desk, page } from "./state.js";
import { connect } from "./sync.js";
import { byId, setText } from "../core/dom.js";
import { span, t } from "../words/words.js";

let focusedBefore = null; // by whoever has to sign in again
let deeds = {};

/** `given`: {entered(): somebody is signed in again, leaves(): by the button, focusNext()} */
export function wireGate(given) {
  deeds = given;
  byId("login").addEventListener("submit", signIn);
  const named = new URLSearchParams(location.search).get("tenant");
  byId("tenant-field").hidden = !named;
  byId("tenant").value = named ?? "";
}

/** Who has no conversations here, as operators and the supervisors of a Qiscus app, has the other page. */
export const goToOverview = () => location.replace("ops");

export function signedOut() {
  if (!byId("gate").hidden) return;
  page.link?.close();
  page.link = null;
  keepToken(null);
  showGate(page.loaded ? "signInAgain" : "signInHint");
}

export function showGate(why) {
  focusedBefore = document.activeElement;
  byId("boot").hidden = true;
  byId("gate").hidden = false;
  byId("desk").inert = true;
  byId("login-why").dataset.t = why;
  setText(byId("login-why"), t(why));
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  (byId("email").value ? byId("password") : byId("email")).focus();
}

async function signIn(event) {
  event.preventDefault();
  const [email, password, tenant] = ["email", "password", "tenant"].map((id) => byId(id).value.trim());
  if (!email || !byId("password").value) return loginError(t("e_fields"), email ? "password" : "email");
  byId("login-button").disabled = true;
  setText(byId("login-button"), t("signingIn"));
  try {
    const told = await ask("POST", "auth/login", { email, password: password && byId("password").value, ...(tenant ? { tenant_id: tenant } : {}) });
    keepTenant(tenant);
    enter(told);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refusedLogin(error);
  } finally {
    byId("login-button").disabled = false;
    setText(byId("login-button"), t("signIn"));
  }
}

function enter({ token: fresh, agent }) {
  if (agent.presence === null) { keepToken(fresh, byId("stay").checked); return goToOverview(); }
  if (page.loaded && desk.me.agent_id !== agent.agent_id) { keepToken(fresh, byId("stay").checked); return location.reload(); }
  keepToken(fresh, byId("stay").checked);
  byId("password").value = "";
  byId("login-error").hidden = true;
  byId("desk").inert = false;
  byId("gate").hidden = true;
  byId("boot").hidden = page.loaded;
  connect();
  if (page.loaded && focusedBefore?.getClientRects().length) focusedBefore.focus();
  else if (page.loaded) deeds.focusNext();
  deeds.entered();
}

function refusedLogin({ status, code, message, retryAfter }) {
  if (status === 400 && message.includes("tenant_id")) {
    byId("tenant-field").hidden = false;
    return loginError(t("e_tenant"), "tenant");
  }
  if (status === 429) return loginError(t("e_login_many", { wait: span(retryAfter || 60) }), "email");
  if (status === 401 || status === 403 || status === 404) return loginError(t("e_login"), "password");
  loginError(code === "unreachable" ? t("x_unreachable") : code === "unavailable" ? t("x_unavailable") : t("x_failed", { why: message }), "password");
}

function loginError(text, field) {
  byId("login-error").hidden = false;
  setText(byId("login-error"), text);
  byId(field).focus();
}

export async function signOut() {
  await ask("POST", "auth/logout", {}).catch(quietly);
  page.link?.close();
  keepToken(null);
  deeds.leaves();
  location.reload();
}
