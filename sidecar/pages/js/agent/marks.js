// What was noticed: the agent learns of messages and new customers (said, shown, sounded, counted), customers learn that
// theirs have arrived and are read. Before it the events, after it the person and the socket.

import { notify, play, queueWanted } from "./alerts.js";
import { ask } from "./api.js";
import { happening, saidIn } from "./log.js";
import { quietly } from "./notices.js";
import { isAtEnd } from "./room.js";
import { desk, innerScreen, page, view } from "./state.js";
import { byId } from "../core/dom.js";
import { tell as sayIn } from "../core/spoken.js";
import { t } from "../words/words.js";

const GOT_MS = 250;

const told = new Map(); // conversation → the seq up to which its customer was told "delivered"
const arrivals = new Set(); // who came into the line since somebody looked there
let gotTimer = 0;
let stuck = ""; // the conversation whose reply may not be sent any more
let openRoom = () => {};

/** `deeds`: {openRoom(id)} */
export function wireMarks(deeds) {
  ({ openRoom } = deeds);
}

// ---- to the agent

export function alertOf(session, message) {
  const mine = desk.isMine(session);
  const { event, sender_type: sender } = message;
  const given = (event?.type === "assigned" || event?.type === "transferred") && event.agent_id === desk.me.agent_id;
  if (!given && session.session_id === page.open) sayRow(session, message);
  if (given) {
    say(t("n_assigned", { name: session.customer.name }));
    if (session.session_id !== page.open) view.fresh.add(session.session_id);
    if (event.by !== desk.me.agent_id) tell("assigned", t("n_assigned", { name: session.customer.name }), lastOf(session), session);
  }
  if (event?.type === "released") queued(session);
  if (sender !== "customer" || !mine) return;
  if (session.session_id !== page.open || document.hidden || !document.hasFocus()) tell("message", t("n_message", { name: session.customer.name }), saidIn(message), session);
}

/** Somebody new in the line. Whoever is given chats needs not look there: only those who pick by hand are told. */
export function queued(session) {
  const boss = desk.isBoss();
  if (!queueWanted(boss) || (!boss && desk.me.presence === "online") || arrivals.has(session.session_id)) return;
  arrivals.add(session.session_id);
  const title = t("n_queued", { name: session.customer.name });
  say(title);
  if (!looksAtQueue()) tell("queued", title, lastOf(session), session);
}

const lastOf = ({ last_message: last }) => (last ? saidIn(last) : "");

const looksAtQueue = () => view.tab === "queue" && !document.hidden && document.hasFocus();

/** How many of them wait still. */
export function newInLine() {
  for (const id of arrivals) if (looksAtQueue() || desk.sessions.get(id)?.status !== "waiting") arrivals.delete(id);
  return arrivals.size;
}

function tell(tune, title, text, session) {
  play(tune);
  notify(title, text.slice(0, 160), session.session_id, () => openRoom(session.session_id));
}

/** For those who hear the page. */
export const say = (text) => sayIn(byId("said"), text);

/** What comes into the conversation that is shown, whoever has it; not what this agent did. */
function sayRow(session, message) {
  const { sender_type: sender, sender_id: id, sender_name: name, event } = message;
  if (id === desk.me.agent_id || String(event?.by ?? "").includes(desk.me.agent_id)) return;
  if (sender === "system") return say(happening(message, desk.me));
  say(t("said_message", { name: sender === "bot" ? t("bot") : name || session.customer.name, text: saidIn(message) }));
}

/** Once, when it happens. `id`: of the conversation where it is so. */
export function sayStuck(id) {
  if (id && id !== stuck) say(byId("bar-text").textContent);
  stuck = id;
}

export const unreadOfMine = () => (desk.me ? desk.mine().reduce((sum, session) => sum + session.unread, 0) : 0);

// ---- to the customers

/** Tells the customers of this agent that their messages have arrived here: one mark for many messages. */
export function got() {
  gotTimer ||= setTimeout(() => {
    gotTimer = 0;
    for (const session of desk.mine()) {
      if (!session.unread || told.get(session.session_id) === session.last_seq) continue;
      if (page.link?.send("chat.message.delivered", { session_id: session.session_id, up_to_seq: session.last_seq })) told.set(session.session_id, session.last_seq);
    }
  }, GOT_MS);
}

/** Read: shown, at the end, by its own agent, who looks at the page. Answers whether something was read just now. */
export function seen() {
  const session = desk.sessions.get(page.open);
  if (!session?.unread || !desk.isMine(session) || document.hidden || !document.hasFocus() || !isAtEnd()) return false;
  if (!desk.room(page.open).loaded || desk.heldTo(page.open) < session.last_seq || innerScreen() === "list") return false;
  const payload = { session_id: page.open, up_to_seq: session.last_seq };
  if (!page.link?.send("chat.message.read", payload)) ask("POST", `sessions/${page.open}/read`, { up_to_seq: session.last_seq }).catch(quietly);
  desk.hear("chat.message.read", { ...payload, by: "agent" });
  return true;
}
