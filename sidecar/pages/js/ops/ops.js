// The supervisors' page begins here: who looks, the socket, which view is shown. Each view has a module of its own:
// {show(address), hide(), draw()}; they share `app` (state.js).

import { wireActs } from "./acts.js";
import { here, write } from "./address.js";
import { agentsView } from "./agents.js";
import { chartsView } from "./charts.js";
import { decisionsView } from "./decisions.js";
import { show, showGate, wireGate } from "./gate.js";
import { healthView } from "./health.js";
import { nowView } from "./now.js";
import { queueView } from "./queue.js";
import { roomDrawer } from "./room.js";
import { refusal, tellMoments, tickAll } from "./says.js";
import { settingsView } from "./settings.js";
import { app } from "./state.js";
import { Watches } from "./watches.js";
import { Refused, ask, keepToken, onExpired, token } from "../agent/api.js";
import { addressOf } from "../core/api.js";
import { byId, initials, keyed, make, setAttr, setClass, setText, tone } from "../core/dom.js";
import { openLink } from "../core/link.js";
import { wireMenu } from "../core/menu.js";
import { number, onLanguage, t, translate } from "../words/words.js";
import "../words/ops.js";

const RETRY_MS = 3000;
const TICK_MS = 1000;
let link = null;
let shownView = null;
let refused = null; // why something that is looked at can't be shown

const views = { now: nowView(), queue: queueView(), agents: agentsView(), decisions: decisionsView(), charts: chartsView(), health: healthView(), settings: settingsView() };
const room = roomDrawer();

app.watches = new Watches((type, payload) => link?.send(type, payload), (why) => { refused = why; showLink(link?.state); });
app.go = (to) => { location.hash = write({ tenant: here().tenant, ...to }); };
app.change = (to) => { history.replaceState(null, "", write({ ...here(), ...to })); route(); };

// ---- who

function isSupervisor({ role }) {
  return ["supervisor", "admin", "operator"].includes(role);
}

async function begin() {
  if (!token()) return showGate();
  show("boot");
  setText(byId("boot-text"), t("loading"));
  try {
    enter((await ask("GET", "me")).agent);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if ([401, 403].includes(error.status)) { keepToken(null); return showGate("signInHint"); }
    setText(byId("boot-text"), t("x_unreachable"));
    setTimeout(begin, error.retryAfter * 1000 || RETRY_MS);
  }
}

function enter(agent) {
  if (!isSupervisor(agent)) { show("not-yours"); return byId("not-yours-title").focus(); }
  if (app.me && app.me.agent_id !== agent.agent_id) return location.reload();
  app.me = agent;
  app.isOperator = agent.role === "operator";
  app.isAdmin = app.isOperator || agent.role === "admin";
  for (const id of ["rail-health", "more-health"]) byId(id).hidden = !app.isOperator;
  byId("to-agent").hidden = app.isOperator;
  show("frame");
  showMe();
  connect();
  app.watches.watch("overview", { view: "now" }, { shown: overview });
  route();
}

function expired() {
  link?.close();
  link = null;
  keepToken(null);
  showGate("signInAgain");
}

// ---- the socket

function connect() {
  link?.close();
  link = openLink({
    address: () => addressOf("/ws/ops", "ws"),
    hello: () => ({ type: "auth", payload: { token: token() } }),
    ready: "auth.ok",
    onFrame: heard,
    onState: linkState,
  });
  showLink(link.state);
}

function heard(type, payload) {
  if (type === "auth.ok") return app.watches.again();
  app.watches.heard(type, payload);
}

function linkState(state, { reason } = {}) {
  showLink(state);
  if (state === "closed" && reason === "unauthorized") expired();
  else if (state === "closed" && reason === "refused") setTimeout(connect, RETRY_MS * 5);
}

function showLink(state) {
  setAttr(byId("live"), "data-state", state);
  setText(byId("live-text"), t(state));
  const isAway = !["live", "connecting"].includes(state);
  document.body.dataset.live = isAway ? "away" : "yes";
  byId("away").hidden = !isAway && !refused;
  setText(byId("away"), isAway ? t("awayHint") : refused ? refusal(refused) : "");
}

// ---- which view

function overview(state) {
  const before = app.tenants;
  app.tenants = state.order.map((key) => state.rows.get(key)).filter(Boolean);
  drawFrame();
  views.now.draw();
  if (shownView !== "now") views[shownView]?.overview?.();
  if (before.length !== app.tenants.length) route(); // the tenant of an operator who named none is known now
}

/** The address says it all; what it leaves out is the first tenant. */
function route() {
  if (!app.me) return;
  const at = here();
  const view = at.view === "health" && !app.isOperator ? "now" : at.view;
  app.tenant = app.isOperator ? at.tenant ?? app.tenants[0]?.tenant ?? null : app.me.tenant_id;
  if (view !== shownView) turnTo(view);
  if (app.tenant || view === "now" || view === "health") views[view].show({ ...at, tenant: app.tenant });
  room.show(at.room && app.tenant ? { tenant: app.tenant, room: at.room } : null);
  drawFrame();
}

function turnTo(view) {
  if (shownView) views[shownView].hide();
  const isFirst = shownView === null;
  shownView = view;
  for (const each of Object.keys(views)) byId(`p-${each}`).hidden = each !== view;
  byId("view").scrollTop = 0;
  if (!isFirst) byId(`h-${view}`).focus({ preventScroll: true });
}

// ---- the frame

function drawFrame() {
  const tenant = app.tenants.find((each) => each.tenant === app.tenant);
  document.title = `${t(`v_${shownView ?? "now"}`)} · Giliran`;
  for (const link of document.querySelectorAll("[data-view]")) {
    setAttr(link, "aria-current", link.dataset.view === shownView ? "page" : null);
    setAttr(link, "href", write({ view: link.dataset.view, tenant: app.isOperator ? here().tenant : undefined }));
  }
  count("queue", tenant?.waiting);
  count("now", app.tenants.filter((each) => each.problems.length).length, "bad");
  byId("tenant-box").hidden = app.tenants.length < 2 || shownView === "now" || shownView === "health";
  keyed(byId("tenant-of"), app.tenants, (each) => each.tenant, (each) => make("option", { value: each.tenant }), (node, each) => setText(node, each.name));
  byId("tenant-of").value = app.tenant ?? "";
}

function count(view, n, kind = "") {
  const node = document.querySelector(`[data-count="${view}"]`);
  setText(node, n ? number(n) : "");
  setClass(node, `count ${n ? kind : ""}`.trim());
}

function showMe() {
  const { name, email, role, agent_id: id } = app.me;
  setText(byId("me-avatar"), initials(name || email));
  setClass(byId("me-avatar"), `avatar small tone-${tone(name || id)}`);
  setText(byId("me-short"), name || email);
  setText(byId("me-name"), name || email);
  setText(byId("me-email"), email);
  setText(byId("me-role"), t(`role_${role}`));
  for (const id of ["me-button", "me-menu"]) setAttr(byId(id), "aria-label", `${name || email}: ${t("myMenu")}`);
}

function drawAll() {
  if (!app.me) return;
  showMe();
  if (link) showLink(link.state);
  drawFrame();
  for (const view of Object.values(views)) view.draw();
  room.draw();
}

translate(document);
wireGate(enter);
wireActs();
wireMenu(byId("me-button"), byId("me-menu"));
wireMenu(byId("more-button"), byId("more-menu"));
onExpired(expired);
onLanguage(drawAll);
addEventListener("hashchange", route);
byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("view").focus(); });
byId("tenant-of").addEventListener("change", ({ target }) => app.go({ view: shownView, tenant: target.value }));
tellMoments(byId("frame"));
setInterval(() => { if (!document.hidden) tickAll(byId("frame")); }, TICK_MS);
begin();
