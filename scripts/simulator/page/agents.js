// The agents as cards: presence, load, and each chat with its Resolve button.

import { knownOf } from "./customer.js";
import { byId, el, keyed, part, setAttr, setText } from "./dom.js";
import { span, t, wordOr } from "./words.js";

const TONES = 6;
const PIPS = 8;
const DIVISIONS = 6; // more of them would hide the chats: then only those that the agent has
const TREATMENTS = ["takes", "400", "403", "404", "422", "deleted"]; // how the desk answers when the agent is assigned

export function showAgents(state, since) {
  const cards = state.agents.filter((agent) => agent.type === "agent" || agent.rooms.length);
  const lag = state.faults.count_lag_s > 0;
  const refused = state.faults.fail_agents;
  keyed(byId("agents"), cards, (agent) => agent.id, makeCard, (node, agent) => {
    updateCard(node, agent, lag, refused[agent.id]);
    showDivisions(part(node, "divisions"), agent, state.divisions);
  });
  const bosses = state.agents.filter((agent) => agent.type === "supervisor").map((agent) => agent.name);
  setText(byId("supervisors"), bosses.length ? t("supervisor", { names: bosses.slice(0, 3).join(", ") }) : "");
  tickAgents(state, since);
}

export function tickAgents(state, since) {
  const gone = (performance.now() - since) / 1000;
  const nodes = new Map([...document.querySelectorAll("#agents .chat")].map((node) => [node.dataset.key, node]));
  for (const agent of state.agents)
    for (const chat of agent.rooms) {
      const node = nodes.get(`${agent.id}/${chat.room}`);
      if (node) setText(part(node, "time"), span(chat.held_s + gone));
    }
}

function makeCard(agent) {
  return el("li", { cls: "card" },
    el("div", { cls: "card-top" },
      el("span", { cls: `avatar tone-${agent.id % TONES}`, "aria-hidden": "true", text: initials(agent.name) }),
      el("div", { cls: "who" }, el("strong", { text: agent.name }), el("span", { cls: "facts", "data-part": "facts" })),
      el("button", { type: "button", cls: "switch", role: "switch", "data-presence": agent.id, "data-part": "switch" },
        el("span", { cls: "knob", "aria-hidden": "true" }))),
    el("div", { cls: "divisions", role: "group", "data-part": "divisions" }),
    el("div", { cls: "load" },
      el("span", { cls: "pips", "aria-hidden": "true", "data-part": "pips" }),
      el("span", { "data-part": "load", cls: "load-text" }), el("span", { cls: "most", "data-part": "most" }),
      el("select", { cls: "treated", "data-treat": agent.id, "data-part": "treat" },
        ...TREATMENTS.map((way) => el("option", { value: way, text: t(`treat_${way}`) })))),
    el("ul", { cls: "chats", "data-part": "chats" }));
}

function updateCard(node, agent, lag, refused) {
  node.classList.toggle("off", !agent.online || agent.deleted);
  showTreatment(part(node, "treat"), agent, refused);
  setText(part(node, "facts"), factsOf(agent, lag));
  setAttr(part(node, "switch"), "aria-checked", String(agent.online));
  setAttr(part(node, "switch"), "aria-label", t("presenceOf", { name: agent.name }));
  setText(part(node, "load"), t(agent.load === 0 ? "chat0" : agent.load === 1 ? "chat1" : "chatN", { n: agent.load }));
  setText(part(node, "most"), agent.max_held ? t("most", { n: agent.max_held }) : "");
  showPips(part(node, "pips"), agent.load);
  keyed(part(node, "chats"), agent.rooms, (chat) => `${agent.id}/${chat.room}`, makeChat, updateChat);
}

/** A button for each division; pressed: the agent belongs to it. */
function showDivisions(node, agent, divisions) {
  const named = divisions.filter((division) => !division.default);
  const shown = named.length > DIVISIONS ? named.filter((division) => agent.divisions.includes(division.id)) : named;
  setAttr(node, "aria-label", t("divisionsOf", { name: agent.name }));
  keyed(node, shown, (division) => `${agent.id}/${division.id}`, () => makeDivision(agent), (button, division) => {
    setText(button, division.name);
    setAttr(button, "data-division", String(division.id));
    setAttr(button, "aria-pressed", String(agent.divisions.includes(division.id)));
  });
}

const makeDivision = (agent) => el("button", { type: "button", cls: "division", "data-joins": agent.id });

function showTreatment(select, agent, refused) {
  setAttr(select, "aria-label", t("treatOf", { name: agent.name }));
  for (const option of select.options) setText(option, t(`treat_${option.value}`));
  if (document.activeElement !== select) select.value = agent.deleted ? "deleted" : String(refused ?? "takes");
}

function factsOf(agent, lag) {
  const facts = [t(agent.deleted ? "isDeleted" : agent.online ? "isOnline" : "isOffline")];
  if (agent.channels) facts.push(t("only", { channels: agent.channels.join(", ") }));
  if (lag) facts.push(t("told", { n: agent.reported }));
  return facts.join(" · ");
}

function showPips(node, load) {
  const wanted = Math.min(load, PIPS);
  while (node.childElementCount > wanted) node.lastElementChild.remove();
  while (node.childElementCount < wanted) node.append(el("i"));
}

function makeChat(chat) {
  return el("li", { cls: "chat" },
    el("div", { cls: "who" },
      el("strong", { "data-part": "name" }), el("span", { cls: "facts" }, `${chat.room} · ${wordOr("c", chat.source)} · `, el("time", { "data-part": "time" })),
      el("span", { cls: "facts", text: knownOf(chat).join(" · ") })),
    el("button", { type: "button", cls: "small", "data-resolve": chat.room, "data-part": "resolve" }),
    el("button", { type: "button", cls: "quiet icon", "data-more": chat.room, "data-part": "more", text: "⋯" }));
}

function updateChat(node, chat) {
  setText(part(node, "name"), chat.name);
  setText(part(node, "resolve"), t("resolve"));
  setAttr(part(node, "resolve"), "aria-label", t("resolveChat", { name: chat.name }));
  setAttr(part(node, "more"), "aria-label", t("moreOf", { name: chat.name }));
}

const initials = (name) => name.split(" ").map((word) => word[0]).slice(0, 2).join("");
