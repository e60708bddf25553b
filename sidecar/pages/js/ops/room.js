// A room's life beside whatever view one came from: why it waits, what one may do, and each visit on one time line.

import { actOnRooms } from "./acts.js";
import { here, write } from "./address.js";
import { candidatesFold, showCandidates } from "./candidates.js";
import { decidedWhy } from "./decisions.js";
import { queueName } from "./queue.js";
import { age, eta, exact, refusal, setAge, why } from "./says.js";
import { app } from "./state.js";
import { byId, icon, keyed, make, part, setAttr, setText } from "../core/dom.js";
import { clock, day, known, number, span, t } from "../words/words.js";

const KINDS = { arrived: "queue", decision: "swap", called: "arrow", assigned: "check", refused: "alert", verified: "search", told: "headset", moved: "arrow", closed: "check" };
const PHONE = matchMedia("(max-width: 720px)");
let shown = null; // {tenant, room, head}
let before = null; // what had the focus

export function roomDrawer() {
  byId("room-close").addEventListener("click", close);
  byId("drawer").addEventListener("keydown", (event) => { if (event.key === "Escape" && !document.querySelector("dialog[open]")) { event.stopPropagation(); close(); } });
  byId("room-deeds").addEventListener("click", ({ target }) => {
    const code = target.closest("[data-act]")?.dataset.act;
    if (code) actOnRooms(code, [{ room: shown.room, customer: customerOf(shown.head), priority: shown.head?.waiting?.priority }]);
  });
  PHONE.addEventListener("change", covers);
  return { show, draw };
}

const customerOf = (head) => head?.customer?.name ?? head?.customer ?? null;

function close() {
  const { room, ...rest } = here();
  location.hash = write(rest);
}

function show(wanted) {
  if (wanted?.room === shown?.room && wanted?.tenant === shown?.tenant) return;
  app.watches.unwatch("room");
  const wasOpen = Boolean(shown);
  const was = shown?.room ?? "";
  shown = wanted ? { ...wanted, head: null } : null;
  byId("drawer").hidden = !shown;
  document.body.classList.toggle("with-drawer", Boolean(shown));
  covers();
  if (!shown) return backTo(before?.isConnected ? before : document.querySelector(`[data-room="${CSS.escape(was)}"] button`));
  if (!wasOpen) before = document.activeElement;
  byId("room-visits").replaceChildren();
  byId("room-why").replaceChildren();
  byId("room-box").scrollTop = 0;
  app.watches.watch("room", { view: "room", ...wanted }, {
    shown: ({ head }) => { if (shown) { shown.head = head; draw(); } },
    refused: (payload) => setText(byId("room-says"), refusal(payload)),
  });
  draw();
  byId("room-name").focus({ preventScroll: true });
}

const backTo = (node) => (node ?? byId("view")).focus({ preventScroll: true });

/** On a phone it lies over everything: nothing behind it is reached by keys. */
function covers() {
  for (const node of document.querySelectorAll(".rail, .view, .bar")) node.inert = Boolean(shown) && PHONE.matches;
}

function draw() {
  if (!shown) return;
  const { head, room } = shown;
  setText(byId("room-name"), customerOf(head) || t("roomNamed", { room }));
  setText(byId("room-says"), !head ? t("loading") : !head.visits.length ? t("noSuchRoom") : [customerOf(head) ? room : "", t(`st_${head.state}`), head.agent_name || head.agent].filter(Boolean).join(" · "));
  deeds(head);
  waits(head?.waiting);
  keyed(byId("room-visits"), head?.visits ?? [], ({ visit }) => visit, visitNode, updateVisit);
}

function deeds(head) {
  const codes = [...(head?.waiting ? ["retry", "move", "priority", "close"] : []), ...(head?.session && !app.isOperator ? ["chat"] : [])];
  keyed(byId("room-deeds"), codes, (code) => code, deed, (node, code) => {
    setText(node, t(code === "chat" ? "openChat" : `a_${code}`));
    if (code === "chat") setAttr(node, "href", `agent#${head.room}`);
  });
  byId("room-deeds").hidden = !codes.length;
}

const deed = (code) => (code === "chat" ? make("a", { class: "button small" }) : make("button", { type: "button", class: `small${code === "close" ? " danger" : ""}`, "data-act": code }));

function waits(waiting) {
  const box = byId("room-why");
  if (!waiting) return box.replaceChildren();
  if (!box.firstChild) box.append(make("div", { class: "why-box" }, make("p", { class: "why-big", "data-part": "why" }), make("dl", { class: "facts" })));
  setText(part(box, "why"), why(waiting.why));
  const facts = [["place", `#${number(waiting.place)}`], ["waitsSince", waiting.since], ["expected", eta(waiting.eta_low_s, waiting.eta_high_s)], ["queue", queueName(waiting.queue)], ...(waiting.priority ? [["priority", number(waiting.priority)]] : [])];
  keyed(box.querySelector("dl"), facts, ([name]) => name, ([name]) => make("div", {}, make("dt"), make("dd", {}, name === "waitsSince" ? age(null, true) : make("span"))), (node, [name, value]) => {
    setText(node.firstChild, t(name));
    if (name === "waitsSince") setAge(node.lastChild.firstChild, value);
    else setText(node.lastChild.firstChild, value);
  });
}

// ---- the time line

function visitNode() {
  return make("li", { class: "visit" }, make("h3", {}, make("span", { "data-part": "title" }), make("span", { class: "chip", "data-part": "queue" })), make("ol", { class: "timeline", "data-part": "timeline" }));
}

function updateVisit(node, visit) {
  setText(part(node, "title"), `${day(visit.arrived_at)}, ${clock(visit.arrived_at)}`);
  setText(part(node, "queue"), visit.queue ? queueName(visit.queue) : "");
  part(node, "queue").hidden = !visit.queue;
  const steps = visit.timeline.map((entry, at) => ({ ...entry, key: `${entry.at} ${entry.kind} ${at}`, before: visit.timeline[at - 1]?.at ?? null }));
  keyed(part(node, "timeline"), steps, ({ key }) => key, stepNode, updateStep);
}

function stepNode(entry) {
  return make("li", { class: "step", "data-kind": entry.kind }, make("span", { class: "dot" }, icon(KINDS[entry.kind] ?? "arrow")), make("div", {}, make("p", {}, make("b", { "data-part": "what" }), " ", make("span", { class: "soft", "data-part": "text" })), make("small", {}, make("time", { class: "num", "data-part": "at" }), make("span", { "data-part": "after" })), entry.candidates?.length ? candidatesFold(entry.candidates) : null));
}

function updateStep(node, entry) {
  const [what, text] = stepWords(entry);
  setText(part(node, "what"), what);
  setText(part(node, "text"), text);
  setText(part(node, "at"), exact(entry.at));
  setAttr(part(node, "at"), "datetime", entry.at);
  const after = entry.before ? (Date.parse(entry.at) - Date.parse(entry.before)) / 1000 : 0;
  setText(part(node, "after"), after >= 1 ? ` · ${t("later", { time: span(after) })}` : "");
  if (entry.candidates?.length) showCandidates(node.querySelector("details"), entry.candidates);
}

function stepWords({ kind, text, values = {}, candidates = [] }) {
  const name = values.name || values.agent || "";
  if (kind === "decision") return [t("k_decision", { name }), decidedWhy({ policy: values.policy, candidates, text })];
  if (kind === "assigned" && name) return [t("k_assigned_to", { name }), ""];
  if (kind === "arrived") return [t("k_arrived"), values.learned ? t("k_learned") : ""];
  if (kind === "closed") return [t("k_closed"), values.reason ?? ""];
  return [known(`k_${kind}`) ? t(`k_${kind}`) : text, known(`k_${kind}`) ? text : ""];
}
