// "Agents": seats as bars, chats, what each did today; what may be done about each. Only rows that changed are drawn.

import { askAct } from "./acts.js";
import { write } from "./address.js";
import { queueName } from "./queue.js";
import { age, setAge } from "./says.js";
import { app, settled } from "./state.js";
import { avatar, byId, icon, keyed, make, part, setAttr, setText } from "../core/dom.js";
import { number, span, t } from "../words/words.js";
import { rowsOf } from "./live.js";

const PIPS_MOST = 16; // seats that are drawn one by one
const ROOMS_SHOWN = 3;
const ROWS = 24; // drawn at first, and more whenever the reader comes near the end
const NEAR = 800; // pixels
const collator = new Intl.Collator();
const view = { state: null, isShown: false, tenant: null, q: "", onlineOnly: false, most: ROWS };

let frame = 0;

export function agentsView() {
  byId("agents-q").addEventListener("input", settled(({ target }) => { Object.assign(view, { q: target.value.trim().toLocaleLowerCase(), most: ROWS }); draw(); }, 150));
  byId("agents-online").addEventListener("change", ({ target }) => { view.onlineOnly = target.checked; draw(); });
  byId("agent-rows").addEventListener("click", ({ target }) => {
    const button = target.closest("[data-act]");
    if (button) act(button.dataset.act, button.closest("tr").row);
  });
  byId("view").addEventListener("scroll", grow, { passive: true });
  return { show, hide, draw };
}

function show({ tenant }) {
  if (view.isShown && view.tenant === tenant) return;
  if (view.tenant !== tenant) view.state = null;
  view.most = ROWS;
  Object.assign(view, { tenant, isShown: true });
  watch();
  draw();
}

function grow() {
  const { scrollTop, clientHeight, scrollHeight } = byId("view");
  if (!view.isShown || byId("agent-rows").childElementCount < view.most || scrollHeight - scrollTop - clientHeight > NEAR) return;
  view.most += ROWS;
  draw();
}

function watch() {
  app.watches.watch("agents", { view: "agents", tenant: view.tenant }, { shown: (state) => { view.state = state; soon(); } });
}

function hide() {
  view.isShown = false;
  app.watches.unwatch("agents");
}

const ORDER = { online: 0, away: 1, offline: 2 };
const byPresence = (one, other) => ORDER[one.presence] - ORDER[other.presence] || collator.compare(one.name, other.name);

/** Once a frame, however much has changed. */
function soon() {
  frame ||= requestAnimationFrame(() => { frame = 0; draw(); });
}

function draw() {
  if (!view.isShown) return;
  const all = view.state ? rowsOf(view.state).sort(byPresence) : [];
  const shown = all.filter((row) => (!view.onlineOnly || row.online) && `${row.name} ${row.email ?? ""} ${row.divisions.join(" ")}`.toLocaleLowerCase().includes(view.q));
  keyed(byId("agent-rows"), shown.slice(0, view.most), ({ agent }) => agent, rowNode, update);
  byId("agents-table").hidden = !shown.length;
  byId("agents-none").hidden = !view.state || shown.length > 0;
  const online = all.filter((row) => row.online);
  setText(byId("agents-sum"), !view.state ? t("loading") : t("agentsSum", { online: number(online.length), all: number(all.length), free: number(online.reduce((sum, row) => sum + row.free, 0)) }));
}

function rowNode() {
  const cell = (name, ...inside) => make("td", { role: "cell", class: `c-${name}`, "data-part": `c-${name.split(" ")[0]}` }, ...inside);
  const text = (name, tag = "span") => make(tag, { "data-part": name });
  const last = age(null);
  last.dataset.part = "last";
  const since = age(null);
  since.dataset.part = "since";
  return make("tr", { role: "row", class: "agent-row" },
    cell("agent", make("span", { class: "person" }, make("span", { class: "face", "data-part": "face" }), make("span", { class: "person-text" }, make("bdi", { class: "name", "data-part": "name" }), make("small", {}, make("span", { "data-part": "presence-text" }), " ", since, make("span", { "data-part": "divisions" }))))),
    cell("seats", make("div", { class: "seats", "data-part": "seats", role: "img" }), make("small", { "data-part": "seats-text" })),
    cell("chats", make("ul", { class: "rooms", "data-part": "rooms" })),
    cell("last num", last), cell("today num", text("today")), cell("median num", text("median")),
    cell("acts", make("div", { class: "row-acts", "data-part": "acts" })));
}

function update(node, row) {
  if (node.row === row && node.language === document.documentElement.lang) return;
  Object.assign(node, { row, language: document.documentElement.lang });
  const say = (name, text) => setText(part(node, name), text);
  node.dataset.presence = row.presence;
  if (!part(node, "face").firstChild) part(node, "face").append(avatar(row.name, "small"), make("span", { class: "presence" }));
  part(node, "face").lastChild.dataset.presence = row.presence;
  say("name", row.name);
  say("presence-text", row.paused ? t("pausedNow") : t(`p_is_${row.presence}`));
  setAge(part(node, "since"), row.since);
  part(node, "since").hidden = !row.since;
  say("divisions", row.divisions.length ? ` · ${row.divisions.join(", ")}` : "");
  seats(node, row);
  rooms(part(node, "rooms"), row);
  setAge(part(node, "last"), row.last_assigned_at);
  say("today", number(row.answered_today));
  say("median", row.handling_median_s === null ? "–" : span(row.handling_median_s));
  acts(part(node, "acts"), row);
  for (const name of ["last", "today", "median"]) setAttr(part(node, `c-${name}`), "data-label", t({ last: "lastAssigned", today: "answeredToday", median: "handling" }[name]));
}

function seats(node, { ours, external, limit, free, refused }) {
  const box = part(node, "seats");
  const all = Math.max(limit, ours + external);
  const kinds = [...Array(Math.min(ours, 1000)).fill("ours"), ...Array(Math.min(external, 1000)).fill("external")];
  if (all <= PIPS_MOST) {
    const pips = Array.from({ length: all }, (_, at) => `seat ${kinds[at] ?? ""} ${at >= limit ? "over" : ""}`.trim());
    keyed(box, pips.map((kind, at) => ({ kind, at })), ({ at }) => `p${at}`, () => make("i"), (pip, { kind }) => { pip.className = kind; });
  } else {
    keyed(box, [{ kind: "ours", n: ours }, { kind: "external", n: external }, { kind: "", n: Math.max(0, limit - ours - external) }], ({ kind }) => `b${kind}`, ({ kind }) => make("i", { class: `seat long ${kind}` }), (bar, { n }) => bar.style.setProperty("flex-grow", String(n)));
  }
  const told = t("seatsOf", { ours: number(ours), external: number(external), limit: number(limit), free: number(free) });
  setAttr(box, "aria-label", told);
  setText(part(node, "seats-text"), limit === 0 ? t("limitZero") : t("taken", { n: number(ours + external), limit: number(limit) }) + (refused ? ` · ${t("refusedAgent")}` : ""));
}

function rooms(list, { rooms: all }) {
  const shown = all.slice(0, ROOMS_SHOWN);
  keyed(list, [...shown, ...(all.length > ROOMS_SHOWN ? [{ room: "", more: all.length - ROOMS_SHOWN }] : [])], ({ room }) => room, ({ more }) => make("li", {}, more ? make("span", { class: "soft" }) : make("a", { class: "chip" })), (item, { room, queue, more }) => {
    if (more) return setText(item.firstChild, `+${number(more)}`);
    setAttr(item.firstChild, "href", write({ view: "agents", tenant: app.isOperator ? app.tenant : undefined, room }));
    setAttr(item.firstChild, "title", queueName(queue ?? ""));
    setText(item.firstChild, room.length > 12 ? `${room.slice(0, 11)}…` : room);
    setAttr(item.firstChild, "aria-label", t("openRoom", { room }));
  });
}

const ACTS = { limit: () => true, pause: ({ paused }) => !paused, resume: ({ paused }) => paused, return: ({ native, ours }) => native && ours > 0, logout: ({ native, presence }) => native && presence !== "offline" };

function acts(box, row) {
  const codes = Object.keys(ACTS).filter((code) => ACTS[code](row));
  keyed(box, codes, (code) => code, (code) => make("button", { type: "button", class: "small quiet", "data-act": code }), (button, code) => {
    setText(button, t(`b_${code}`));
    setAttr(button, "aria-label", `${t(`a_${code}`)}: ${row.name}`);
  });
}

function act(code, row) {
  const path = `agents/${encodeURIComponent(row.agent)}`;
  const request = {
    limit: (_, value) => ["PUT", "limits", { scope: "agent", agent: row.agent, value }],
    pause: () => ["PUT", `${path}/paused`, { paused: true }],
    resume: () => ["PUT", `${path}/paused`, { paused: false }],
    return: () => ["POST", `${path}/return`],
    logout: () => ["POST", `${path}/logout`],
  }[code];
  askAct({ code, subjects: [{ id: row.agent, name: row.name }], request, grave: code === "logout", done: () => view.isShown && watch(), ...(code === "limit" ? { number: { min: 0, max: 1000, value: row.limit, mayBeNone: true } } : {}) });
}
