/* The widget's demo: the options as a form, the snippet that they make, the widget itself. */

import { addressOf, ask } from "../core/api.js";
import { byId, make, toast } from "../core/dom.js";
import { leaveToInputMethod } from "../core/keys.js";
import { onLanguage, t, translate, wordOr } from "../words/words.js";
import "../words/site.js";

const FIELDS = ["tenantId", "primaryColor", "position", "title", "greeting", "locale", "theme"];
const DEFAULTS = { primaryColor: "#0f766e", position: "right", theme: "auto" };
const OPTIONS = ["apiUrl", "tenantId", "primaryColor", "position", "title", "greeting", "locale", "theme", "name", "email", "userHash", "properties", "propertiesHash", "topic"];
const CALLS = ["init(options)", "open()", "close()", "destroy()"];
const IDENTITY = `# Python, on your server
import hashlib, hmac, json
prove = lambda text: hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
user_hash = prove(email)
known = json.dumps(properties, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
properties_hash = prove(email + "\\n" + known)`;
const HOME = addressOf("").replace(/\/$/, "");
const widget = window.CallCenterChat;

const chosen = () => Object.fromEntries(FIELDS.map((name) => [name, byId(name).value.trim()]).filter(([name, value]) => value && value !== DEFAULTS[name]));

function snippet(options) {
  const lines = Object.entries({ apiUrl: HOME, ...options }).map(([name, value]) => `    ${name}: ${JSON.stringify(value)},`);
  const close = "</" + "script>";
  return [`<script src="${HOME}/chat-widget.js">${close}`, "<script>", "  CallCenterChat.init({", ...lines, "  });", close].join("\n");
}

function apply(open) {
  widget.destroy();
  widget.init(chosen());
  if (open) widget.open();
}

function draw() {
  byId("snippet").textContent = snippet(chosen());
  byId("identity").textContent = IDENTITY;
  byId("option-rows").replaceChildren(...OPTIONS.map((name) => make("tr", {}, make("td", {}, make("code", { text: name })), make("td", {}, preset(name)), make("td", { text: t(`o_${name}`) }))));
  byId("call-rows").replaceChildren(...CALLS.map((call) => make("tr", {}, make("td", {}, make("code", { text: `CallCenterChat.${call}` })), make("td", { text: t(`c_${call.split("(")[0]}`) }))));
}

const preset = (name) => (DEFAULTS[name] ? make("code", { text: DEFAULTS[name] }) : wordOr(`o_${name}_default`, t("none")));

byId("options").addEventListener("input", draw);
byId("options").addEventListener("submit", (event) => {
  event.preventDefault();
  apply(true);
});
byId("open").addEventListener("click", () => widget.open());
byId("close").addEventListener("click", () => widget.close());
byId("destroy").addEventListener("click", () => widget.destroy());
byId("copy").addEventListener("click", () => navigator.clipboard?.writeText(byId("snippet").textContent).then(() => toast(t("copied")), () => null));
onLanguage(draw);
leaveToInputMethod(document);

translate(document);
const { tenants } = await ask("GET", "about").catch(() => ({ tenants: [] }));
byId("tenantId").value = new URLSearchParams(location.search).get("tenant") ?? tenants[0]?.id ?? "";
draw();
apply(false);
