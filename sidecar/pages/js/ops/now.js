// "Now": a card for each tenant. Problems stand on top, each with the place where it is mended; a healthy one is calm.

import { write } from "./address.js";
import { rowsOf } from "./live.js";
import { age, eta, percent, problem, setAge, since, why } from "./says.js";
import { app } from "./state.js";
import { byId, icon, keyed, make, part, setAttr, setText } from "../core/dom.js";
import { number, span, t } from "../words/words.js";

/** Code → the view where it is mended. What has none is mended outside this page. */
const MENDED_AT = {
  all_paused: "settings", all_full: "agents", drained: "settings", rules_missing: "settings", shut: "settings", nobody_online: "agents", nobody_for_queue: "agents",
  quarantined: "queue", desk_paused: "health", desk_trouble: "health", no_worker: "health", redis_away: "health", inbox_behind: "health", no_webhooks: "health",
};
const CALM = new Set(["drained", "shut"]); // wanted by somebody
const GRAVE = new Set(["no_worker", "redis_away", "desk_paused", "all_paused", "nobody_online"]);

const NEXT = 8; // of the line, where there is one tenant only
let line = null; // the head of it
let isShown = false;

export function nowView() {
  return { show, hide, draw };
}

function show() {
  isShown = true;
  draw();
}

function hide() {
  isShown = false;
  line = null;
  app.watches.unwatch("next");
}

/** Of one tenant there is room for who comes next. */
function watchNext() {
  const alone = app.tenants.length === 1 ? app.tenants[0].tenant : null;
  byId("next").hidden = !alone;
  byId("p-now").classList.toggle("alone", Boolean(alone));
  if (!alone || line) return;
  line = { order: [], rows: new Map(), head: null };
  app.watches.watch("next", { view: "queue", tenant: alone, limit: NEXT }, { shown: (state) => { line = state; drawNext(); } });
}

function drawNext() {
  keyed(byId("next-list"), rowsOf(line), ({ room }) => room, nextItem, updateNext);
  byId("next-none").hidden = !line.head || line.head.total > 0;
}

function nextItem({ room }) {
  const tick = age(null, true);
  tick.dataset.part = "since";
  return make("li", {}, make("span", { class: "num soft", "data-part": "place" }), make("a", { href: write({ view: "now", room }), class: "name", dir: "auto", "data-part": "name" }), tick, make("span", { class: "soft why-text", "data-part": "why" }));
}

function updateNext(node, row) {
  setText(part(node, "place"), number(row.place));
  setText(part(node, "name"), row.customer || row.room);
  setAge(part(node, "since"), row.since);
  setText(part(node, "why"), why(row.why));
}

function draw() {
  if (!isShown) return;
  watchNext();
  if (line) drawNext();
  keyed(byId("cards"), app.tenants, (each) => each.tenant, card, update);
  const wrong = app.tenants.filter((each) => each.problems.some(({ code }) => !CALM.has(code)));
  setAttr(byId("verdict"), "data-state", !app.tenants.length ? null : wrong.length ? "bad" : "good");
  setText(byId("verdict"), !app.tenants.length ? t("loading") : wrong.length ? t("someWrong", { n: wrong.length }) : t("allWell"));
}

function card(tenant) {
  const figure = (name, ...inside) => make("div", { class: "figure" }, make("dt", { "data-part": `${name}-word` }), make("dd", {}, ...(inside.length ? inside : [make("span", { "data-part": name })])));
  return make("li", { class: "card tenant" },
    make("header", {}, make("h2", {}, make("a", { href: write({ view: "queue", tenant: tenant.tenant }), "data-part": "name", dir: "auto" })), make("span", { class: "chip", "data-part": "desk" }), make("span", { class: "chip good", "data-part": "well" })),
    make("ul", { class: "problems", "data-part": "problems" }),
    make("div", { class: "main" },
      make("a", { class: "waiting", href: write({ view: "queue", tenant: tenant.tenant }), "data-part": "to-queue" }, make("b", { "data-part": "waiting" }), make("span", { "data-part": "waiting-word" })),
      make("dl", { class: "beside" }, figure("oldest", withAge()), figure("eta"))),
    make("div", { class: "seats-line" }, make("div", { class: "meter", "data-part": "meter", role: "img" }, make("i", { "data-part": "taken" })), make("p", {}, make("b", { "data-part": "free" }), make("span", { "data-part": "free-word" }))),
    make("dl", { class: "figures" }, figure("agents"), figure("served"), figure("level")));
}

function withAge() {
  const node = age(null, true);
  node.dataset.part = "oldest";
  return node;
}

function update(node, tenant) {
  const say = (name, text) => setText(part(node, name), text);
  const isWell = !tenant.problems.length;
  node.dataset.state = isWell ? "well" : tenant.problems.some(({ code }) => GRAVE.has(code)) ? "bad" : tenant.problems.every(({ code }) => CALM.has(code)) ? "calm" : "warn";
  say("name", tenant.name);
  say("desk", tenant.desk === "native" ? t("deskNative") : "Qiscus");
  say("well", t("wellChip"));
  part(node, "well").hidden = !isWell;
  keyed(part(node, "problems"), tenant.problems, keyOfProblem, () => problemItem(tenant), (item, each) => updateProblem(item, each));
  part(node, "problems").hidden = isWell;
  say("waiting", number(tenant.waiting));
  say("waiting-word", t("waitNow", { n: tenant.waiting }) + (tenant.aside ? ` · ${t("asideToo", { n: tenant.aside })}` : ""));
  say("oldest-word", t("oldest"));
  setAge(part(node, "oldest"), tenant.oldest_at);
  part(node, "oldest").classList.toggle("late", Boolean(tenant.oldest_at) && tenant.target_s > 0 && since(tenant.oldest_at) > tenant.target_s);
  say("eta-word", t("etaNext"));
  say("eta", eta(tenant.eta_low_s, tenant.eta_high_s));
  seats(node, tenant);
  say("agents-word", t("agentsOnline"));
  say("agents", t("ofAll", { n: number(tenant.agents_online), all: number(tenant.agents_all) }));
  say("served-word", t("servedToday"));
  say("served", number(tenant.served_today) + (tenant.abandoned_today ? ` · ${t("gaveUp", { n: tenant.abandoned_today })}` : ""));
  say("level-word", t("levelToday", { time: span(tenant.target_s) }));
  say("level", percent(tenant.service_level_today));
}

const keyOfProblem = ({ code, values }) => `${code} ${values.queue ?? ""}`;

function problemItem(tenant) {
  return make("li", {}, icon("alert"), make("p", {}, make("span", { "data-part": "says" }), " ", make("small", { "data-part": "since" })), make("a", { class: "button small", "data-part": "mend", "data-tenant": tenant.tenant }));
}

function updateProblem(item, found) {
  const to = MENDED_AT[found.code];
  const view = to === "health" && !app.isOperator ? null : to;
  item.dataset.kind = CALM.has(found.code) ? "calm" : GRAVE.has(found.code) ? "bad" : "warn";
  setText(part(item, "says"), problem(found));
  setText(part(item, "since"), found.since ? t("sinceWhen", { time: span(since(found.since)) }) : "");
  const mend = part(item, "mend");
  mend.hidden = !view;
  if (!view) return;
  setAttr(mend, "href", write({ view, tenant: mend.dataset.tenant, ...(found.code === "quarantined" ? { state: "quarantined" } : {}) }));
  setText(mend, t(`mend_${view}`));
}

function seats(node, { seats_free: free, seats_all: all }) {
  const taken = all ? Math.min(1, Math.max(0, 1 - free / all)) : 0;
  part(node, "taken").style.setProperty("--share", String(taken));
  part(node, "meter").dataset.state = !all ? "none" : free ? "some" : "full";
  setText(part(node, "free"), number(free));
  setText(part(node, "free-word"), t("seatsFreeOf", { all: number(all) }));
  setAttr(part(node, "meter"), "aria-label", t("seatsLabel", { free: number(free), all: number(all) }));
}
