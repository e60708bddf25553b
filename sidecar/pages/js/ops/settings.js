// "Settings": the limit of the tenant, serving out, the rules of routing with their check and try-out, and who did what.

import { askAct, refusedFor } from "./acts.js";
import { exact, moment } from "./says.js";
import { app, pathOf } from "./state.js";
import { Refused, ask } from "../agent/api.js";
import { byId, keyed, make, setAttr, setText } from "../core/dom.js";
import { dateTime, number, t, wordOr } from "../words/words.js";

const view = { isShown: false, tenant: null, head: null, routing: null, acts: [], next: null };

export function settingsView() {
  byId("limit-form").addEventListener("submit", (event) => { event.preventDefault(); limit(); });
  byId("limit-none").addEventListener("click", () => putLimit("nolimit", null));
  byId("drain").addEventListener("click", drain);
  byId("routing-check").addEventListener("click", check);
  byId("routing-apply").addEventListener("click", apply);
  byId("routing-undo").addEventListener("click", () => { byId("routing-file").value = view.routing?.content ?? ""; found([]); });
  byId("try-go").addEventListener("click", tryOut);
  byId("audit-more").addEventListener("click", () => loadAudit(view.next));
  return { show, hide, draw };
}

function show({ tenant }) {
  if (view.isShown && view.tenant === tenant) return;
  if (view.tenant !== tenant) { Object.assign(view, { head: null, routing: null, acts: [], next: null }); byId("routing-file").value = ""; found([]); }
  Object.assign(view, { tenant, isShown: true });
  watch();
  load();
  draw();
}

function watch() {
  app.watches.watch("settings", { view: "agents", tenant: view.tenant }, { shown: ({ head }) => { view.head = head; draw(); } });
}

/** What was done here is seen at once, not with the next look at all of it. */
function done() {
  if (view.isShown) watch();
  loadAudit();
}

function hide() {
  view.isShown = false;
  app.watches.unwatch("settings");
}

async function load() {
  await Promise.all([loadRouting(), loadAudit()]);
}

async function loadRouting() {
  const { tenant } = view;
  try {
    const told = await ask("GET", pathOf("routing"));
    if (tenant !== view.tenant) return;
    const isUntouched = !view.routing || byId("routing-file").value === (view.routing.content ?? "");
    view.routing = told;
    if (isUntouched) byId("routing-file").value = told.content ?? "";
  } catch (error) {
    found([{ kind: "bad", text: refusedFor(error) }]);
  }
  draw();
}

async function loadAudit(before = null) {
  const { tenant } = view;
  try {
    const { acts, next } = await ask("GET", pathOf(`audit${before ? `?before=${before}` : ""}`));
    if (tenant !== view.tenant) return;
    Object.assign(view, { acts: before ? [...view.acts, ...acts] : acts, next });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  draw();
}

function draw() {
  if (!view.isShown) return;
  const { head, routing } = view;
  byId("settings-admin").hidden = app.isAdmin;
  for (const id of ["limit-value", "limit-none", "routing-apply"]) byId(id).disabled = !app.isAdmin;
  byId("limit-form").querySelector("[type=submit]").disabled = !app.isAdmin;
  byId("routing-file").readOnly = !app.isAdmin;
  setText(byId("limit-now"), head?.limit.value === null || !head ? "–" : number(head.limit.value));
  setText(byId("limit-by"), head ? t("limitBy", { by: head.limit.by }) : "");
  byId("limit-none").hidden = !head?.limit.by?.endsWith(`:${view.tenant}`);
  setAttr(byId("drain"), "aria-checked", Boolean(head?.draining));
  setText(byId("drain-says"), head ? t(head.draining ? "drainOn" : "drainOff") : "");
  setText(byId("routing-says"), !routing ? "" : routing.version ? t("routingNow", { n: number(routing.version), at: routing.applied_at ? dateTime(routing.applied_at) : "–", by: routing.applied_by ?? "–" }) : t("noRouting"));
  keyed(byId("routing-history"), routing?.history ?? [], ({ version }) => version, () => make("li"), (node, each) => setText(node, t("routingNow", { n: number(each.version), at: dateTime(each.applied_at), by: each.applied_by ?? "–" })));
  audit();
}

// ---- limits and serving out

function limit() {
  const field = byId("limit-value");
  const value = field.value.trim() === "" ? NaN : Number(field.value);
  const isRight = Number.isInteger(value) && value >= 0 && value <= 1000;
  setAttr(field, "aria-invalid", isRight ? null : true);
  if (!isRight) return field.focus();
  putLimit(value === 0 ? "limitzero" : "limitall", value);
}

function putLimit(code, value) {
  askAct({ code, subjects: [{ id: view.tenant, name: value === null ? nameOf() : t("limitBecomes", { name: nameOf(), n: number(value) }) }], grave: value === 0, request: () => ["PUT", "limits", { scope: "tenant", value }], done: () => { byId("limit-value").value = ""; done(); } });
}

const nameOf = () => app.tenants.find(({ tenant }) => tenant === view.tenant)?.name ?? view.tenant;

function drain() {
  const draining = !view.head?.draining;
  askAct({ code: draining ? "drain" : "undrain", subjects: [{ id: view.tenant, name: nameOf() }], grave: draining, request: () => ["PUT", "drain", { draining }], done });
}

// ---- routing

const content = () => byId("routing-file").value;

async function check() {
  try {
    const { ok, faults, warnings = [], moves = [] } = await ask("POST", pathOf("routing/check"), { content: content() });
    found([
      ...(ok ? [{ kind: "good", text: t("rulesGood") }] : []),
      ...faults.map((each) => ({ kind: "bad", text: atLine(each), line: each.line })),
      ...warnings.map((each) => ({ kind: "warn", text: atLine(each), line: each.line })),
      ...moves.map(({ from, to, rooms }) => ({ kind: "", text: t("wouldMove", { n: rooms, from: from || "–", to }) })),
    ]);
  } catch (error) {
    found([{ kind: "bad", text: refusedFor(error) }]);
  }
}

const atLine = ({ line, message }) => (line ? t("atLine", { line, message }) : message);

function found(told) {
  byId("routing-found").replaceChildren(...(told.length ? [make("ul", {}, ...told.map(({ kind, text, line }) => make("li", { class: `notice ${kind}`.trim() }, make("span", { text }), line ? make("button", { type: "button", class: "small", text: t("showLine"), onclick: () => toLine(line) }) : null)))] : []));
}

/** The line is selected and in sight. */
function toLine(line) {
  const field = byId("routing-file");
  const lines = content().split("\n");
  const from = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  field.focus();
  field.setSelectionRange(from, from + (lines[line - 1] ?? "").length);
  field.scrollTop = Math.max(0, (field.scrollHeight / lines.length) * (line - 4));
}

function apply() {
  askAct({ code: "apply", subjects: [{ id: view.tenant, name: nameOf() }], request: () => ["PUT", "routing", { content: content(), version: view.routing?.version }], done: (isWhole) => { if (isWhole) { found([]); load(); } } });
}

async function tryOut() {
  const isOwn = content() !== (view.routing?.content ?? "");
  byId("try-text").hidden = false;
  setText(byId("try-text"), t("asking"));
  try {
    setText(byId("try-text"), (await ask("POST", pathOf("routing/try"), { ...(isOwn ? { content: content() } : {}), payload: byId("try-payload").value })).text);
  } catch (error) {
    setText(byId("try-text"), refusedFor(error));
  }
}

// ---- who did what

function audit() {
  keyed(byId("audit-rows"), view.acts, ({ id }) => id, () => make("tr", {}, ...["th", "td", "td", "td", "td", "td", "td"].map((tag, at) => make(tag, { scope: at ? undefined : "row", class: at ? undefined : "when" }))), (node, act) => {
    const cells = [moment(act.at), act.who, actName(act.what), act.subject || "–", shown(act.before), shown(act.after), act.address ?? "–"];
    for (const [at, text] of cells.entries()) setText(node.children[at], text);
    setAttr(node.firstChild, "title", `${dateTime(act.at)} ${exact(act.at)}`);
  });
  byId("audit-none").hidden = view.acts.length > 0;
  byId("audit-more").hidden = !view.next;
}

const actName = (what) => wordOr(`did_${what.replaceAll(" ", "_")}`, what);
const shown = (value) => (value === null || value === undefined || value === "" ? "–" : typeof value === "boolean" ? t(value ? "yes" : "no") : typeof value === "object" ? JSON.stringify(value) : String(value));
