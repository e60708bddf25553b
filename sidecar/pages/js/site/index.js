/* The first page: what is here; in a demo also who may log in. */

import { ask } from "../core/api.js";
import { byId, icon, make, toast } from "../core/dom.js";
import { onLanguage, t, translate, wordOr } from "../words/words.js";
import "../words/site.js";

let about = { demo: null, tenants: [] };

/** The pages stand beside this one, also where a proxy has put all of them below a path. */
function below(folder) {
  if (folder !== "/") for (const link of document.querySelectorAll('a[href^="/"]')) link.href = folder + link.getAttribute("href").slice(1);
}

function copyButton(text) {
  const copy = () => navigator.clipboard?.writeText(text).then(() => toast(t("copied")), () => null);
  return make("button", { type: "button", class: "quiet icon small", "aria-label": `${t("copy")}: ${text}`, title: t("copy"), onclick: copy }, icon("copy"));
}

function draw() {
  const { demo, tenants } = about;
  byId("demo").hidden = !demo?.accounts?.length;
  byId("accounts").replaceChildren(...(demo?.accounts ?? []).map(accountRow));
  const simulator = byId("simulator");
  simulator.hidden = !demo?.simulator_url;
  if (demo?.simulator_url) simulator.href = demo.simulator_url;
  byId("tenants").hidden = tenants.length < 2;
  byId("tenant-rows").replaceChildren(...tenants.map(tenantRow));
}

const accountRow = ({ email, password, role }) =>
  make("tr", {}, make("td", {}, make("span", { class: "pick" }, make("code", { text: email }), copyButton(email))), make("td", {}, make("code", { text: password })), make("td", {}, make("span", { class: "chip", text: wordOr(`role_${role}`, role) })));

const tenantRow = ({ id, name }) => make("tr", {}, make("td", { text: name }), make("td", {}, make("code", { text: id })), make("td", {}, make("a", { href: `chat?tenant=${encodeURIComponent(id)}`, text: t("openChat") })));

below(new URL(".", location.href).pathname);
translate(document);
onLanguage(draw);
about = await ask("GET", "about").catch(() => about);
draw();
