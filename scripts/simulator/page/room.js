// The dialog of one room: everything that a customer, an agent or a supervisor can do with it.

import { ask, room as path } from "./api.js";
import { knownRows, saidRows } from "./customer.js";
import { byId, el } from "./dom.js";
import { t, wordOr } from "./words.js";

let shown = "";

export function openRoom(id, state) {
  const found = find(id, state);
  if (!found) return;
  shown = id;
  fill(found, state);
  byId("room").showModal();
}

export function wireRoom(trying) {
  const act = (action, body) => trying(async () => {
    await ask("POST", path(shown, action), body);
    byId("room").close();
  });
  byId("room-write").addEventListener("click", () => act("message"));
  byId("room-give").addEventListener("click", () =>
    act("assign", { agent: Number(byId("room-agent").value), replace: byId("room-replace").checked }));
  byId("room-resolve").addEventListener("click", (event) => {
    if (event.target.dataset.by) act("resolve", { by: event.target.dataset.by });
  });
  byId("room-agents").addEventListener("click", (event) => {
    if (event.target.dataset.remove) act("remove", { agent: Number(event.target.dataset.remove) });
  });
  byId("room").addEventListener("click", (event) => {
    if (event.target === byId("room")) byId("room").close(); // a click beside the dialog
  });
}

function find(id, state) {
  return state.waiting.find((row) => row.room === id) ?? state.agents.flatMap((agent) => agent.rooms).find((chat) => chat.room === id);
}

function fill(found, state) {
  byId("room-name").textContent = found.name;
  byId("room-facts").textContent = [t("room", { room: found.room }), t("channel", { source: wordOr("c", found.source) })].join(" · ");
  byId("room-known").replaceChildren(...knownRows(found));
  byId("room-said").hidden = found.said.length === 0;
  byId("room-said-texts").replaceChildren(...saidRows(found));
  byId("room-agent").replaceChildren(...state.agents.filter((agent) => agent.type === "agent").map(option));
  byId("room-agent").value = likeliest(found, state)?.id;
  byId("room-inside").hidden = found.agents.length === 0;
  byId("room-replace").closest("label").hidden = found.agents.length === 0;
  const inside = state.agents.filter((agent) => found.agents.includes(agent.id));
  byId("room-agents").replaceChildren(...inside.map(insideRow));
}

/** The online agent with the fewest chats who is not inside yet. */
function likeliest(found, state) {
  const others = state.agents.filter((agent) => agent.type === "agent" && agent.online && !found.agents.includes(agent.id));
  return others.sort((a, b) => a.load - b.load)[0];
}

function option(agent) {
  const presence = agent.online ? "" : ` (${t("isOffline")})`;
  return el("option", { value: agent.id, text: `${agent.name}${presence} · ${agent.load}` });
}

function insideRow(agent) {
  return el("li", {}, el("span", { text: agent.name }), el("button", { type: "button", cls: "small", "data-remove": agent.id, text: t("remove") }));
}
