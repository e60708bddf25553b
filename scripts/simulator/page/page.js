// Where the page begins: joins the live stream to the parts that show it, and the buttons to the control API.

import { addEvents, filterEvents, forgetEvents, showEvents } from "./activity.js";
import { showAgents, tickAgents } from "./agents.js";
import { ask, room as path, useApp } from "./api.js";
import { byId, el, setText } from "./dom.js";
import { buildFaults, showFaults } from "./faults.js";
import { showLine, tickLine } from "./line.js";
import { listen } from "./live.js";
import { openRoom, wireRoom } from "./room.js";
import { currentLanguage, number, speak, t, translate } from "./words.js";

const TOAST_MS = 5000;
const SAY_EVERY_MS = 4000;

let state;
let since = 0; // when the state came, on this page's clock
let standing = "connecting";
let stop = () => {};
let saidAt = 0;
let toastTimer;

function show() {
  setText(byId("live-text"), t(standing));
  byId("live").dataset.state = standing;
  if (!state) return;
  const agents = state.agents.filter((agent) => agent.type === "agent" && !agent.deleted);
  setText(byId("n-waiting"), number(state.waiting_total));
  setText(byId("n-held"), number(state.held_total));
  setText(byId("n-resolved"), number(state.counters.resolved ?? 0));
  setText(byId("n-online"), `${agents.filter((agent) => agent.online).length}/${agents.length}`);
  showLine(state, since);
  showAgents(state, since);
  showFaults(state.faults);
}

function takeState(told) {
  if (state && (told.last < state.last || told.app_id !== state.app_id)) forgetEvents(); // the server began anew
  state = told;
  since = performance.now();
  show();
  sayNow(t("summary", { w: state.waiting_total, c: state.held_total }));
}

/** For those who listen instead of look: rarely, so that a burst does not talk without end. */
function sayNow(text) {
  if (performance.now() - saidAt < SAY_EVERY_MS) return;
  saidAt = performance.now();
  setText(byId("said"), text);
}

async function trying(work) {
  try {
    const said = await work();
    if (typeof said === "string") toast(said, "ok");
  } catch (error) {
    toast(t("failed", { why: error.message }), "bad");
  }
}

function toast(text, tone) {
  clearTimeout(toastTimer);
  byId("toast").className = `toast ${tone}`;
  byId("toast").hidden = false;
  setText(byId("toast"), text);
  toastTimer = setTimeout(() => { byId("toast").hidden = true; }, TOAST_MS);
}

const DEEDS = {
  add: async ({ count }) => { await ask("POST", "customers", { count: Number(count) }); },
  return: async () => ((await ask("POST", "returns", {})).rooms.length ? undefined : t("nobodyBack")),
  "resolve-one": async () => ((await ask("POST", "resolve", { count: 1 })).rooms.length ? undefined : t("noChats")),
  "resolve-all": async () => {
    const { rooms } = await ask("POST", "resolve", { count: "all" });
    return rooms.length ? t("resolvedSome", { n: number(rooms.length) }) : t("noChats");
  },
};

function wireButtons() {
  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("button");
    if (!button) return;
    const { do: deed, presence, joins, division, resolve, more, language, filter } = button.dataset;
    if (deed) trying(() => DEEDS[deed](button.dataset));
    if (presence) trying(() => setPresence(presence, button.getAttribute("aria-checked") !== "true"));
    if (joins) trying(() => join(Number(joins), Number(division)));
    if (resolve) trying(async () => { await ask("POST", path(resolve, "resolve"), { by: "agent" }); });
    if (more) openRoom(more, state);
    if (language) changeLanguage(language);
    if (filter) pressFilter(button);
  });
  document.addEventListener("change", ({ target }) => {
    const { treat: agent } = target.dataset;
    if (agent) { trying(() => treat(agent, target.value)); target.blur(); }
  });
  byId("reset").addEventListener("click", () => byId("confirm").showModal());
  byId("confirm").addEventListener("close", () => {
    if (byId("confirm").returnValue === "yes") trying(async () => { await ask("POST", "reset"); forgetEvents(); });
    byId("confirm").returnValue = "";
  });
}

/** How the desk answers when this agent is assigned: a refusal, as if deleted, or as ever. */
async function treat(agent, way) {
  const { [agent]: _, ...others } = state.faults.fail_agents;
  await ask("PUT", "faults", { fail_agents: Number(way) ? { ...others, [agent]: Number(way) } : others });
  await ask("PUT", `agents/${agent}`, { deleted: way === "deleted" });
}

const setPresence = async (agent, online) => { await ask("PUT", `agents/${agent}`, { online }); };

/** Into the division, or out of it; who is in none is in the default one. */
async function join(agent, division) {
  const { divisions: before } = state.agents.find(({ id }) => id === agent);
  const byDefault = state.divisions.filter((one) => one.default).map(({ id }) => id);
  const others = before.filter((id) => id !== division && !byDefault.includes(id));
  const wanted = before.includes(division) ? others : [...others, division];
  await ask("PUT", `agents/${agent}`, { divisions: wanted.length ? wanted : byDefault });
}

function pressFilter(button) {
  for (const other of document.querySelectorAll("[data-filter]")) other.setAttribute("aria-pressed", String(other === button));
  filterEvents(button.dataset.filter);
}

function changeLanguage(wanted) {
  speak(wanted);
  buildFaults(trying);
  showEvents();
  show();
}

/** Tabs as readers expect them: arrows move, one tab stop. */
function wireTabs() {
  const tabs = [byId("tab-activity"), byId("tab-faults")];
  const choose = (tab) => {
    for (const each of tabs) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
      byId(each.getAttribute("aria-controls")).hidden = each !== tab;
    }
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const other = tabs[1 - tabs.indexOf(tab)];
      choose(other);
      other.focus();
    });
  }
}

async function wireApps() {
  const apps = await ask("GET", "apps");
  byId("app").replaceChildren(...apps.map((app) => el("option", { value: app.app_id, text: app.app_id })));
  byId("app-pick").hidden = apps.length < 2;
  byId("app").addEventListener("change", () => { useApp(byId("app").value); forgetEvents(); begin(); });
}

function begin() {
  stop();
  stop = listen({ state: takeState, happened: addEvents, standing: (word) => { standing = word; show(); } });
}

translate(document);
document.documentElement.lang = currentLanguage();
buildFaults(trying);
wireButtons();
wireTabs();
wireRoom(trying);
trying(wireApps);
begin();
setInterval(() => { if (state) { tickLine(state, since); tickAgents(state, since); } }, 1000);
