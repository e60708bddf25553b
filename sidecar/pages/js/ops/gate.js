// Signing in and out, as on the agent's page and with the same token: one sign-in serves both. Before it the person,
// after it ops.js.

import { Refused, ask, keepTenant, keepToken, keptTenant } from "../agent/api.js";
import { byId, setText } from "../core/dom.js";
import { span, t } from "../words/words.js";

const SCREENS = ["boot", "gate", "not-yours", "frame"];
let entered = () => {};

export function wireGate(then) {
  entered = then;
  byId("tenant").value = keptTenant();
  byId("login").addEventListener("submit", signIn);
  byId("other-account").addEventListener("click", signOut);
  for (const id of ["sign-out", "sign-out-too"]) byId(id).addEventListener("click", signOut);
}

/** One of boot, gate, not-yours, frame. */
export function show(screen) {
  for (const each of SCREENS) byId(each).hidden = each !== screen;
}

export function showGate(why = "signInHint") {
  show("gate");
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
  try {
    const { token, agent } = await ask("POST", "auth/login", { email, password: password && byId("password").value, ...(tenant && !byId("tenant-field").hidden ? { tenant_id: tenant } : {}) });
    keepTenant(tenant);
    keepToken(token, byId("stay").checked);
    byId("password").value = "";
    byId("login-error").hidden = true;
    entered(agent);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refused(error);
  } finally {
    byId("login-button").disabled = false;
  }
}

function refused({ status, code, message, retryAfter }) {
  if (status === 400 && message.includes("tenant_id")) {
    byId("tenant-field").hidden = false;
    return loginError(t("e_tenant"), "tenant");
  }
  if (status === 429) return loginError(t("e_login_many", { wait: span(retryAfter || 60) }), "email");
  if (status === 401 || status === 403 || status === 404) return loginError(t("e_login"), "password");
  loginError(t(code === "unreachable" ? "x_unreachable" : "x_unavailable"), "password");
}

function loginError(text, field) {
  byId("login-error").hidden = false;
  setText(byId("login-error"), text);
  byId(field).focus();
}

export async function signOut() {
  await ask("POST", "auth/logout", {}).catch((error) => { if (!(error instanceof Refused)) throw error; });
  keepToken(null);
  location.reload();
}
