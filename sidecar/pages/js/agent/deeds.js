// What an agent does with a conversation beside writing: pick, take, give to a colleague, end, export. Before it the buttons
// and keys, after it REST; the change itself comes back as an event. A refusal is told in kind words.

import { ask, fetchBlob } from "./api.js";
import { paintAvatar } from "./face.js";
import { allMessages } from "./history.js";
import { fetched, showLog, shownIn } from "./log.js";
import { explain } from "./notices.js";
import { page } from "./state.js";
import { byId, keyed, make, part, setAttr, setClass, setText, toast } from "../core/dom.js";
import { save } from "../core/saving.js";
import { dateTime, t } from "../words/words.js";

const PRESENCE_ORDER = { online: 0, away: 1, offline: 2 };

/** `written(id)`: whether all that the agent wrote there is stored. `done()`: where no event tells of it (no socket), the
    page looks again. */
export function deedsOf(desk, written, done) {
  async function doing(method, path, body, name) {
    try {
      const told = await ask(method, path, body);
      if (told.session) desk.put(told.session);
      done();
      return true;
    } catch (error) {
      explain(error, name);
      done(error);
      return false;
    }
  }

  /** The conversation goes on without this agent, so what they wrote goes first: later it would be refused. */
  async function leaving(session, path, body, name) {
    if (await written(session.session_id)) return doing("POST", `sessions/${session.session_id}/${path}`, body, name);
    toast(t("x_unsent"), "bad");
    return false;
  }

  return {
    pick: (session) => doing("POST", `queue/${session.session_id}/pick`),
    take: (session) => doing("POST", `sessions/${session.session_id}/${session.status === "waiting" ? "assign" : "transfer"}`, { agent_id: desk.me.agent_id }),
    give: async (session) => {
      const agent = await chooseAgent(desk, session);
      if (!agent) return;
      const deed = session.status === "waiting" ? "assign" : "transfer";
      const given = await leaving(session, deed, { agent_id: agent.agent_id }, agent.name);
      if (given) toast(t("d_given", { name: session.customer.name, agent: agent.name }));
    },
    end: async (session) => {
      setText(byId("end-title"), t("endTitle", { name: session.customer.name }));
      if ((await answerOf(byId("end-dialog"))) !== "yes") return;
      if (await leaving(session, "end", {})) toast(t("d_ended", { name: session.customer.name }));
    },
    presence: (wish) => doing("PUT", "me/presence", { presence: wish }),
    transcript: async (session, format) => {
      try {
        save(await fetchBlob(`sessions/${session.session_id}/transcript?format=${format}`), `${session.session_id}.${format}`);
      } catch (error) {
        explain(error);
      }
    },
  };
}

/** The value of the button that closed it; empty where it was closed in another way. */
export function answerOf(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((answered) => dialog.addEventListener("close", () => answered(dialog.returnValue), { once: true }));
}

// ---- people

let giving = []; // ids, while somebody is being chosen

/** Up and down go through the people of the dialog, as they do in a menu. */
export function wirePeople() {
  byId("give-people").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...byId("give-people").querySelectorAll("button:enabled")];
    all.at((all.indexOf(document.activeElement) + step) % all.length)?.focus();
  });
}

async function chooseAgent(desk, session) {
  giving = colleagues(desk).filter((agent) => agent.agent_id !== (session.agent?.agent_id ?? ""))
    .sort((a, b) => isFull(a, desk) - isFull(b, desk)).map((agent) => agent.agent_id);
  setText(byId("give-title"), t(session.status === "waiting" ? "assignTitle" : "giveTitle"));
  byId("give-none").hidden = giving.length > 0;
  byId("give-people").replaceChildren();
  const answer = answerOf(byId("give-dialog"));
  showChoices(desk);
  (byId("give-people").querySelector("button:enabled") ?? byId("give-dialog").querySelector("button:enabled")).focus();
  const chosen = await answer;
  giving = [];
  return desk.agents.get(chosen);
}

/** In the order of the moment in which the choice began: nothing moves under a finger. Who has no room can't be chosen. */
function showChoices(desk) {
  const agents = giving.map((id) => desk.agents.get(id)).filter(Boolean);
  keyed(byId("give-people"), agents, (agent) => agent.agent_id, makeChoice, (node, agent) => updateChoice(node, agent, desk));
}

function updateChoice(node, agent, desk) {
  updatePerson(node, agent, desk);
  node.querySelector("button").disabled = isFull(agent, desk);
  const why = isFull(agent, desk) ? "giveFull" : agent.presence === "offline" ? "giveOffline" : null;
  if (why) setText(part(node, "sub"), t(why));
}

const makeChoice = (agent) => make("li", {}, make("button", { class: "person-row", value: agent.agent_id }, ...personParts()));

const makePerson = () => make("li", { class: "person-row" }, ...personParts());

const personParts = () => [
  make("span", { class: "avatar-box" }, make("span", { "data-part": "avatar", "aria-hidden": "true" }), make("span", { class: "presence", "data-part": "dot" })),
  make("span", { class: "person-text" }, make("strong", { "data-part": "name", dir: "auto" }), make("small", { class: "soft", "data-part": "sub" })),
  make("span", { class: "load", "data-part": "load" }),
];

function updatePerson(node, agent, desk) {
  paintAvatar(part(node, "avatar"), agent.name);
  setText(part(node, "name"), agent.agent_id === desk.me.agent_id ? `${agent.name} (${t("you")})` : agent.name);
  part(node, "dot").dataset.presence = agent.presence;
  const role = agent.role === "agent" ? "" : ` · ${t(`role_${agent.role}`)}`;
  setText(part(node, "sub"), t(`p_${agent.presence}`) + role);
  const load = desk.chatsOf(agent.agent_id);
  const full = isFull(agent, desk);
  setClass(part(node, "load"), `load${full ? " full" : ""}`);
  setText(part(node, "load"), (agent.limit ?? null) === null ? t("loadOnly", { n: load }) : t("loadOf", { n: load, limit: agent.limit }));
  setAttr(part(node, "load"), "title", `${part(node, "load").textContent} ${t("chats")}${full ? ` · ${t("full")}` : ""}`);
}

const isFull = ({ agent_id: id, limit }, desk) => (limit ?? null) !== null && desk.chatsOf(id) >= limit;

export function colleagues(desk) {
  return [...desk.agents.values()].filter((agent) => !agent.disabled)
    .sort((a, b) => PRESENCE_ORDER[a.presence] - PRESENCE_ORDER[b.presence] || a.name.localeCompare(b.name));
}

export function showTeam(desk) {
  const online = colleagues(desk).filter((agent) => agent.presence === "online").length;
  setText(byId("team-count"), online || "");
  setAttr(byId("team-button"), "aria-label", `${t("team")}: ${t("onlineCount", { n: online })}`);
  if (byId("give-dialog").open) showChoices(desk);
  if (byId("team-dialog").open) keyed(byId("team-people"), colleagues(desk), (agent) => agent.agent_id, makePerson, (node, agent) => updatePerson(node, agent, desk));
}

// ---- dialogs that only show

export function openTeam(desk) {
  byId("team-dialog").showModal();
  showTeam(desk);
}

const KEYS = [["J", "K", "key_move"], ["Enter", "key_open"], ["/", "key_search"], ["Esc", "key_back"], ["P", "key_pick"], ["R", "key_reply"], ["N", "key_note"], ["1", "2", "3", "key_tabs"], ["/…", "key_canned"], ["?", "key_help"]];

/** `single`: whether keys without Ctrl do something. */
export function openKeys(single) {
  setText(byId("keys-note"), t(single ? "keysOn" : "keysOff"));
  byId("shortcut-list").replaceChildren(...KEYS.map((keys) => make("div", {}, make("dt", { text: t(keys.at(-1)) }), make("dd", {}, ...keys.slice(0, -1).map((text) => make("kbd", { text }))))));
  byId("keys-dialog").showModal();
}

/** An earlier visit with its messages, beside the conversation of today; unless that is left meanwhile. */
export async function openVisit(visit, desk) {
  const beside = page.open;
  try {
    const messages = await allMessages(visit.session_id);
    if (page.open !== beside) return;
    setText(byId("visit-title"), t("visitOf", { when: dateTime(visit.created_at) }));
    showLog(byId("visit-log"), { session: visit, room: { messages, notes: [] }, me: desk.me, enlarge, refused: explain });
    byId("visit-dialog").showModal();
  } catch (error) {
    explain(error);
  }
}

/** The picture itself. Where it can't be shown after all, it can be saved. */
export async function enlarge(file) {
  const photo = make("img", { alt: file.name, id: "photo" });
  byId("photo").replaceWith(photo);
  byId("photo-none").hidden = true;
  byId("photo-save").onclick = () => fetched(file, explain);
  byId("photo-dialog").showModal();
  byId("photo-dialog").addEventListener("close", () => photo.removeAttribute("src"), { once: true });
  try {
    await shownIn(photo, file.url);
  } catch (error) {
    photo.hidden = true;
    if (photo.isConnected) byId("photo-none").hidden = false;
    console.info("no picture", error.code ?? error.name);
  }
}
