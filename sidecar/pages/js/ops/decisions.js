// "Decisions": who got which room, newest first, with all who were considered. Held still while somebody reads.

import { candidatesFold, showCandidates } from "./candidates.js";
import { write } from "./address.js";
import { queueName } from "./queue.js";
import { rowsOf } from "./live.js";
import { exact } from "./says.js";
import { app } from "./state.js";
import { byId, keyed, make, part, setAttr, setText } from "../core/dom.js";
import { dateTime, number, span, t, wordOr } from "../words/words.js";

const FILTERS = ["agent", "queue", "policy"];
const POLICIES = ["least_loaded", "round_robin", "longest_idle", "fill_two", "upstream"];
const view = { state: null, held: null, isShown: false, key: null, known: { agent: new Map(), queue: new Map(), policy: new Map() } };

export function decisionsView() {
  byId("decision-filters").addEventListener("submit", (event) => event.preventDefault());
  for (const name of FILTERS) byId(`decision-${name}`).addEventListener("change", ({ target }) => app.change({ [name]: target.value }));
  byId("decision-hold").addEventListener("click", () => { view.held = view.held ? null : view.state; draw(); });
  return { show, hide, draw };
}

function show({ tenant, agent = "", queue = "", policy = "" }) {
  const key = JSON.stringify([tenant, agent, queue, policy]);
  if (view.isShown && view.key === key) return;
  if (JSON.parse(view.key ?? "[]")[0] !== tenant) for (const name of FILTERS) view.known[name].clear();
  Object.assign(view, { isShown: true, key, state: null, held: null, agent, queue, policy });
  const given = Object.fromEntries(Object.entries({ agent, queue, policy }).filter(([, value]) => value));
  app.watches.watch("decisions", { view: "decisions", tenant, ...given }, { shown: (state) => { view.state = state; draw(); } });
  draw();
}

function hide() {
  view.isShown = false;
  app.watches.unwatch("decisions");
}

function draw() {
  if (!view.isShown) return;
  const rows = view.state ? rowsOf(view.held ?? view.state) : [];
  for (const row of rows) learn(row);
  for (const name of FILTERS) choices(name);
  setAttr(byId("decision-hold"), "aria-pressed", Boolean(view.held));
  keyed(byId("decisions"), rows, ({ id }) => id, item, update);
  byId("decisions-none").hidden = !view.state || rows.length > 0;
}

function learn({ agent, name, queue, policy }) {
  view.known.agent.set(agent, name);
  if (queue) view.known.queue.set(queue, queueName(queue));
  view.known.policy.set(policy, policy);
}

function choices(name) {
  const known = view.known[name];
  if (view[name] && !known.has(view[name])) known.set(view[name], view[name]);
  if (name === "policy") for (const each of POLICIES) if (known.has(each)) known.set(each, wordOr(`policy_${each}`, each));
  const options = [["", t({ agent: "allAgents", queue: "allQueues", policy: "allPolicies" }[name])], ...known];
  keyed(byId(`decision-${name}`), options, ([value]) => value, ([value]) => make("option", { value }), (node, [, text]) => setText(node, text));
  byId(`decision-${name}`).value = view[name] ?? "";
}

function item(row) {
  const text = (name, tag = "span", more = {}) => make(tag, { "data-part": name, ...more });
  return make("li", { class: "decision" },
    text("at", "time", { class: "num soft" }),
    make("div", { class: "decided" }, make("p", {}, text("name", "b", { dir: "auto" }), make("span", { class: "soft", "aria-hidden": "true", text: " ← " }), text("room", "a"), " ", text("queue", "span", { class: "chip" })), text("why", "p", { class: "soft" }), candidatesFold(row.candidates, row.considered)),
    text("waited", "span", { class: "num" }), text("load", "span", { class: "num soft" }));
}

function update(node, row) {
  if (node.language === document.documentElement.lang) return; // what is decided does not change
  node.language = document.documentElement.lang;
  const say = (name, text) => setText(part(node, name), text);
  say("at", exact(row.at));
  setAttr(part(node, "at"), "datetime", row.at);
  setAttr(part(node, "at"), "title", dateTime(row.at));
  say("name", row.name);
  say("room", row.room ?? t("roomNotKept"));
  setAttr(part(node, "room"), "href", row.room === null ? null : write({ view: "decisions", tenant: app.isOperator ? app.tenant : undefined, room: row.room }));
  say("queue", row.queue ? queueName(row.queue) : "");
  part(node, "queue").hidden = !row.queue;
  say("why", decidedWhy(row));
  say("waited", row.waited_s === null ? "" : t("waited", { time: span(row.waited_s) }));
  say("load", t("loadThen", { n: number(row.load_before), limit: number(row.limit) }));
  showCandidates(node.querySelector("details"), row.candidates, row.considered);
}

/** The rule and how many had a free seat; the server's own sentence where the policy is not one of ours. */
export function decidedWhy({ policy, candidates, able, considered = candidates.length, why, text }) {
  if (!POLICIES.includes(policy)) return why ?? text;
  return t("decidedBy", { policy: t(`policy_${policy}`), n: able ?? candidates.filter(({ free, fits }) => free && fits).length, all: number(considered) });
}
