// "Queue": who waits, in the order in which they will be served, and why. A window of the rows is watched, what is seen of
// it is drawn: thousands of rows cost as much as fifty. Focus and choices stay through live changes.

import { actOnRooms } from "./acts.js";
import { age, counted, eta, setAge, why } from "./says.js";
import { app, settled } from "./state.js";
import { byId, keyed, make, part, setAttr, setText } from "../core/dom.js";
import { number, t } from "../words/words.js";

const WINDOW = 200;
const STEP = 50; // the window begins at a multiple of it
const CHANNEL = "channel:";
const AROUND = 5; // rows drawn above and below what is seen
const TYPING_MS = 250;
const SCROLLING_MS = 90;

const view = { tenant: null, queue: "", state: "", q: "", offset: 0, drawn: null, isShown: false };
const chosen = new Map(); // room → its row
let anchor = null; // where shift began
let frame = 0;

export function queueView() {
  byId("queue-filters").addEventListener("submit", (event) => event.preventDefault());
  byId("queue-q").addEventListener("input", settled(() => app.change({ q: byId("queue-q").value.trim() }), TYPING_MS));
  for (const name of ["queue", "state"]) byId(`queue-${name}`).addEventListener("change", ({ target }) => app.change({ [name]: target.value }));
  byId("queue-sheet").addEventListener("scroll", () => { soon(); follow(); }, { passive: true });
  byId("queue-rows").addEventListener("click", clicked);
  byId("queue-rows").addEventListener("keydown", pressed);
  byId("queue-clear").addEventListener("click", () => { chosen.clear(); draw(); byId("queue-sheet").focus(); });
  for (const button of byId("queue-bar").querySelectorAll("[data-act]")) button.addEventListener("click", () => act(button.dataset.act));
  addEventListener("resize", () => { height = 0; soon(); });
  return { show, hide, draw };
}

function show({ tenant, queue = "", state = "", q = "" }) {
  const isNew = tenant !== view.tenant || queue !== view.queue || state !== view.state || q !== view.q;
  if (tenant !== view.tenant) chosen.clear();
  const wasShown = view.isShown;
  Object.assign(view, { tenant, queue, state, q, isShown: true });
  if (document.activeElement !== byId("queue-q")) byId("queue-q").value = q;
  byId("queue-state").value = state;
  if (!isNew && wasShown) return;
  if (isNew) { view.drawn = null; view.offset = 0; byId("queue-sheet").scrollTop = 0; }
  watch();
  draw();
}

function hide() {
  view.isShown = false;
  app.watches.unwatch("queue");
}

function watch() {
  const { tenant, queue, state, q, offset } = view;
  const given = Object.fromEntries(Object.entries({ queue, state, q }).filter(([, value]) => value));
  app.watches.watch("queue", { view: "queue", tenant, ...given, offset, limit: WINDOW }, {
    shown: (shown) => { view.drawn = { ...shown, offset }; soon(); },
  });
}

// ---- the window

let height = 0;

/** As the style sheet has it, asked for once a width of the page. */
function rowHeight() {
  height ||= parseFloat(getComputedStyle(byId("queue-table")).getPropertyValue("--row")) || 48;
  return height;
}

/** The window moves after the reader, when they stand still for a moment. */
const follow = settled(() => {
  const first = Math.floor(byId("queue-sheet").scrollTop / rowHeight());
  const seen = Math.ceil(byId("queue-sheet").clientHeight / rowHeight());
  const last = Math.min(first + seen, view.drawn?.head.total ?? Infinity);
  if (!view.isShown || (first >= view.offset && last <= view.offset + WINDOW)) return;
  view.offset = Math.max(0, Math.floor((first - (WINDOW - seen) / 2) / STEP) * STEP);
  watch();
}, SCROLLING_MS);

/** Once a frame, however much has changed. */
function soon() {
  frame ||= requestAnimationFrame(() => { frame = 0; draw(); });
}

function draw() {
  if (!view.isShown) return;
  const { head, order, rows, offset } = view.drawn ?? { head: null, order: [], rows: new Map(), offset: 0 };
  const total = head?.total ?? 0;
  const high = rowHeight();
  const { scrollTop, clientHeight } = byId("queue-sheet");
  const first = Math.max(0, Math.floor(scrollTop / high) - AROUND);
  const last = Math.min(total, Math.ceil((scrollTop + clientHeight) / high) + AROUND);
  const items = [];
  for (let at = first; at < last; at += 1) items.push(rows.get(order[at - offset]) ?? { room: `\u0000${at}`, at });
  const box = byId("queue-rows");
  const hadFocus = box.contains(document.activeElement);
  keyed(box, items, ({ room }) => room, rowNode, update);
  box.style.setProperty("padding-top", `${first * high}px`);
  box.style.setProperty("padding-bottom", `${Math.max(0, total - last) * height}px`);
  if (hadFocus && !box.contains(document.activeElement)) byId("queue-sheet").focus({ preventScroll: true });
  setAttr(byId("queue-table"), "aria-rowcount", total + 1);
  around(head, total);
  chosenBar();
}

function around(head, total) {
  const isFiltered = Boolean(view.queue || view.state || view.q);
  byId("queue-table").hidden = !total;
  byId("queue-none").hidden = !head || total > 0;
  setText(byId("queue-none-text"), t(isFiltered ? "noMatch" : "nobodyWaits"));
  setText(byId("queue-sum"), !head ? t("loading") : isFiltered ? t("matching", { n: counted(total), all: number(head.waiting) }) : t("roomsWait", { n: counted(head.waiting) }));
  const queues = [{ name: "", waiting: head?.waiting ?? 0 }, ...(head?.queues ?? [])];
  if (view.queue && !queues.some(({ name }) => name === view.queue)) queues.push({ name: view.queue, waiting: 0 });
  keyed(byId("queue-queue"), queues, ({ name }) => name, ({ name }) => make("option", { value: name }), (node, { name, waiting }) => setText(node, `${name ? queueName(name) : t("allQueues")} (${number(waiting)})`));
  byId("queue-queue").value = view.queue;
}

/** A queue of no rules is a channel's, or that of our own chat. */
export function queueName(name) {
  if (!name.startsWith(CHANNEL)) return name || "–";
  const channel = name.slice(CHANNEL.length);
  return !channel ? t("noChannel") : channel === "native" ? t("deskNative") : t("channel", { n: channel });
}

// ---- rows

function rowNode(row) {
  const cell = (name, ...inside) => make("td", { role: "cell", class: `c-${name}` }, ...inside);
  const text = (name) => make("span", { "data-part": name });
  const tick = age(null, true);
  tick.dataset.part = "since";
  return make("tr", { role: "row", class: "queue-row", "data-room": row.room },
    cell("check", make("input", { type: "checkbox", "data-part": "check" })),
    cell("place num", text("place")),
    cell("who", make("button", { type: "button", class: "to-room", "data-part": "open" }, make("bdi", { class: "name", "data-part": "name" }), make("small", { "data-part": "room" }))),
    cell("since num", tick),
    cell("queue", make("span", { class: "chip", "data-part": "queue" }), make("span", { class: "chip accent", "data-part": "priority" })),
    cell("eta num", text("eta")),
    cell("why", make("span", { class: "why-text", "data-part": "why" })));
}

function update(node, row) {
  const isChosen = chosen.has(row.room);
  if (part(node, "check").checked !== isChosen) part(node, "check").checked = isChosen;
  setAttr(node, "aria-selected", isChosen);
  if (node.row === row && node.language === document.documentElement.lang) return;
  Object.assign(node, { row, language: document.documentElement.lang });
  if (row.at !== undefined) { node.classList.add("pending"); return setText(part(node, "place"), number(row.at + 1)); }
  const say = (name, text) => setText(part(node, name), text);
  if (isChosen) chosen.set(row.room, row);
  setAttr(node, "aria-rowindex", row.place + 1);
  node.dataset.state = row.state;
  say("place", number(row.place));
  say("name", row.customer || row.room);
  say("room", row.customer ? row.room : "");
  setAge(part(node, "since"), row.since);
  say("queue", queueName(row.queue));
  part(node, "priority").hidden = !row.priority;
  say("priority", row.priority ? `${row.priority > 0 ? "+" : ""}${number(row.priority)}` : "");
  setAttr(part(node, "priority"), "title", t("priority"));
  say("eta", eta(row.eta_low_s, row.eta_high_s));
  const reason = why(row.why);
  say("why", reason);
  setAttr(part(node, "why"), "title", reason);
  setAttr(part(node, "check"), "aria-label", t("chooseRoom", { name: row.customer || row.room }));
}

// ---- choosing and opening

function clicked(event) {
  const row = event.target.closest("[data-room]")?.row;
  if (!row || row.at !== undefined) return;
  if (event.target.matches("[type=checkbox]")) return choose(row, event.shiftKey);
  if (!getSelection().isCollapsed && !event.target.closest("button")) return;
  app.go({ view: "queue", queue: view.queue, state: view.state, q: view.q, room: row.room });
}

function choose(row, isRange) {
  const wanted = !chosen.has(row.room);
  const { order, rows } = view.drawn;
  const [from, to] = [order.indexOf(anchor), order.indexOf(row.room)].sort((a, b) => a - b);
  const range = isRange && from >= 0 ? order.slice(from, to + 1) : [row.room];
  for (const room of range) {
    if (wanted) chosen.set(room, rows.get(room));
    else chosen.delete(room);
  }
  anchor = row.room;
  draw();
}

function pressed(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  const rows = [...byId("queue-rows").children];
  const to = rows[rows.indexOf(event.target.closest("tr")) + step];
  if (!to) return;
  event.preventDefault();
  const kind = event.target.matches("[type=checkbox]") ? "check" : "open";
  if (event.shiftKey && kind === "check" && to.row && !chosen.has(to.row.room)) choose(to.row, false);
  part(to, kind).focus({ preventScroll: true });
  to.scrollIntoView({ block: "nearest" });
}

function chosenBar() {
  byId("queue-bar").hidden = !chosen.size;
  setText(byId("queue-chosen"), t("chosenRooms", { n: counted(chosen.size) }));
}

const act = (code) => actOnRooms(code, [...chosen.values()], (isWhole) => { if (isWhole) { chosen.clear(); draw(); } });
