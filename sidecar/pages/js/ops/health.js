// "Health", for operators: the stores, the processes, each tenant's desk.

import { age, moment, setAge } from "./says.js";
import { app } from "./state.js";
import { byId, keyed, make, part, setText } from "../core/dom.js";
import { bytes, number, span, t, wordOr } from "../words/words.js";

const KINDS = ["receiver", "worker", "sidecar"];
const view = { isShown: false, state: null };

export function healthView() {
  return { show, hide, draw };
}

function show() {
  if (view.isShown) return;
  view.isShown = true;
  app.watches.watch("health", { view: "health" }, {
    shown: (state) => { view.state = state; setText(byId("health-says"), ""); draw(); },
  });
  draw();
}

function hide() {
  view.isShown = false;
  app.watches.unwatch("health");
}

function draw() {
  if (!view.isShown) return;
  if (!view.state) return setText(byId("health-says"), t("loading"));
  const { head, order, rows } = view.state;
  const all = order.map((key) => ({ key, ...rows.get(key) })).filter((row) => row.kind);
  keyed(byId("health-stores"), stores(head), ({ key }) => key, tile, updateTile);
  const processes = all.filter(({ kind }) => KINDS.includes(kind)).sort((one, other) => KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind));
  keyed(byId("health-processes"), processes, ({ key }) => key, processRow, updateProcess);
  const desks = all.filter(({ kind }) => kind === "desk");
  keyed(byId("health-desks"), desks.map(desk), ({ key }) => key, tile, updateTile);
  byId("health-no-desks").hidden = desks.length > 0;
}

/** A tile: {key, title, state, says, facts [[word, text]]}. */
function tile() {
  return make("li", { class: "card tile" }, make("h3", {}, make("i", { class: "lamp" }), make("span", { "data-part": "title" })), make("p", { "data-part": "says" }), make("dl", { class: "facts", "data-part": "facts" }));
}

function updateTile(node, { title, state, says, facts }) {
  node.dataset.state = state;
  setText(part(node, "title"), title);
  setText(part(node, "says"), says);
  keyed(part(node, "facts"), facts, ([name]) => name, () => make("div", {}, make("dt"), make("dd")), (item, [name, text]) => { setText(item.firstChild, t(`h_${name}`)); setText(item.lastChild, text); });
}

function stores({ postgres = null, redis = null }) {
  const found = [];
  if (postgres) found.push({ key: "postgres", title: "PostgreSQL", state: postgres.ok ? "good" : "bad", says: t(postgres.ok ? "answers" : "silent"), facts: present({ version: postgres.version, connections: postgres.connections && t("ofAll", { n: number(postgres.connections), all: number(postgres.most ?? 0) }) }) });
  if (redis) found.push({ key: "redis", title: "Redis", state: redis.ok ? "good" : "bad", says: t(redis.ok ? "answers" : "silent"), facts: present({ memory: redis.used_bytes && (redis.most_bytes ? t("ofAll", { n: bytes(redis.used_bytes), all: bytes(redis.most_bytes) }) : bytes(redis.used_bytes)), policy: redis.policy }) });
  return found;
}

const present = (facts) => Object.entries(facts).filter(([, text]) => text !== null && text !== undefined && text !== "" && text !== 0).map(([name, text]) => [name, String(text)]);

function desk({ key, tenant, trouble = null, p50_ms: p50, p95_ms: p95, errors = {}, circuit, paused_until: until, drift = {}, inbox, inbox_age_s: inboxAge, refused = {} }) {
  const state = until ? "bad" : circuit && circuit !== "closed" ? "warn" : "good";
  const counts = (kinds) => Object.entries(kinds ?? {}).filter(([, n]) => n).map(([kind, n]) => `${wordOr(`kind_${kind}`, kind)} ${number(n)}`).join(", ");
  return { key, title: tenant, state, says: (until ? t("pausedUntil", { at: moment(until) }) : t("deskAnswers")) + (trouble ? ` · ${trouble}` : ""), facts: present({ latency: p50 === null || p50 === undefined ? null : `${number(Math.round(p50))} / ${number(Math.round(p95))} ms`, errors: counts(errors), drift: counts(drift), refused: counts(refused), inbox: inbox ? t("inboxOf", { n: inbox, time: span(inboxAge ?? 0) }) : null }) };
}

function processRow() {
  const cells = ["since", "seen"].map((name) => { const node = age(null); node.dataset.part = name; return make("td", { class: "num" }, node); });
  return make("tr", {}, make("th", { scope: "row" }, make("span", { "data-part": "kind" }), make("small", { class: "soft", "data-part": "id" })), ...cells, make("td", { "data-part": "version" }), make("td", { "data-part": "load", class: "soft" }));
}

function updateProcess(node, row) {
  setText(part(node, "kind"), t(`proc_${row.kind}`));
  setText(part(node, "id"), ` ${row.id ?? row.key}`);
  setAge(part(node, "since"), row.since);
  setAge(part(node, "seen"), row.seen_at);
  setText(part(node, "version"), row.version ?? "–");
  setText(part(node, "load"), Object.entries(row.load ?? {}).map(([name, n]) => `${name.replaceAll("_", " ")} ${typeof n === "number" ? number(n) : n}`).join(" · ") || "–");
}
