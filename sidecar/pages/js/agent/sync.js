// The page and the server: the first load and every later one, the socket, and each event that it brings. Before it the
// sign-in, after it the desk. State comes from loads and events only; while the socket stands, nothing is asked for.

import { play } from "./alerts.js";
import { Refused, ask, token } from "./api.js";
import { endedKnown, keepEnded, refreshEnded } from "./finder.js";
import { fetchRoom, mendGap } from "./history.js";
import { alertOf, got, queued, seen, unreadOfMine } from "./marks.js";
import { quietly } from "./notices.js";
import { desk, draw, page, view } from "./state.js";
import { addressOf } from "../core/api.js";
import { byId, setAttr, setText, toast } from "../core/dom.js";
import { openLink } from "../core/link.js";
import { t } from "../words/words.js";

const PAGES_MOST = 40; // of colleagues' chats
const LINE_MS = 1000; // within it all pages ask for the head of a long line that has moved up
const RELOAD_MS = 2000;
const CANNED_MS = 1000; // within it all pages ask for canned replies that were changed, not all at one moment
const LEARN_MOST = 20; // sessions after a reconnect, each a request
const UNKNOWN_MS = 1500; // a message of a session that nobody told of: look, if it is still unknown then
const WARN_MS = 5000; // without a way to the server
const COME_BACK_MS = 15_000; // after the server said no to the socket again and again

let loading = null; // the load that runs; events wait in `early` meanwhile
let lining = null; // the question for the head of the line that is under way
let early = [];
let cannedTimer = 0;
let warning = 0;
let deeds = {};

/** `given`: {known(): whose page it is; begun(), after the first load; settled(), after each; canned(replies);
    signedOut(); elsewhere(): whose page is another one} */
export function wireSync(given) {
  deeds = given;
}

// ---- loads

async function firstLoad() {
  const [{ agent }, { agents }, line, active, own, { canned }] = await Promise.all(
    [ask("GET", "me"), ask("GET", "agents"), ask("GET", "queue"), every("status=active", PAGES_MOST), every("status=active&mine=1"), ask("GET", "canned")]);
  const known = agents.find((each) => each.agent_id === agent.agent_id);
  return { me: { ...known, ...agent }, agents, sessions: [...active, ...own, ...line.sessions], line, canned };
}

/** Newest first; one's own are never left out. */
async function every(wanted, pages = Infinity) {
  const all = [];
  let cursor = null;
  for (let page = 0; page < pages; page += 1) {
    const told = await ask("GET", `sessions?${wanted}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    all.push(...told.sessions);
    cursor = told.next;
    if (!cursor) break;
  }
  return all;
}

/** The head of the line where it has moved up to somebody unknown. `within`: all pages ask, not all at one moment. */
export function learnLine(within = LINE_MS) {
  lining ??= freshLine(within).finally(() => { lining = null; });
  return lining;
}

async function freshLine(within) {
  await new Promise((done) => setTimeout(done, Math.random() * within));
  try {
    desk.takeHead(await ask("GET", "queue"));
    draw();
  } catch (error) {
    quietly(error);
    setTimeout(() => { if (desk.head.missing.length) learnLine(); }, error.retryAfter * 1000 || RELOAD_MS);
  }
}

/** The first load, and every later one: one at a time, and what is heard meanwhile is applied after it. */
export function reload() {
  loading ??= load().finally(() => { loading = null; });
  return loading;
}

async function load() {
  early = [];
  const before = { unread: unreadOfMine(), known: new Map(desk.sessions) };
  const state = await firstLoad();
  keepEnded();
  desk.load(state, page.open);
  deeds.known();
  view.busy = false;
  const heard = early;
  early = [];
  for (const [type, payload] of heard) take(type, payload);
  if (page.open) await fetchRoom(page.open).catch((error) => { if (error.status !== 404) throw error; });
  if (page.loaded) missed(before);
  else deeds.begun();
  got();
  deeds.settled();
  refreshEnded();
  draw();
}

/** What no event told, since the socket was away. */
function missed({ unread, known }) {
  if (page.link?.state !== "live" && unreadOfMine() > unread) play("message");
  for (const { session_id: id } of desk.mine()) if (!desk.isMine(known.get(id) ?? {}) && id !== page.open) view.fresh.add(id);
  for (const session of desk.line()) if (known.get(session.session_id)?.status !== "waiting") queued(session);
  learnEnded([...known.values()].filter(({ session_id: id, status }) => !desk.sessions.has(id) && (status === "active" || (status === "waiting" && !desk.head.isCut))));
}

/** They were open when the socket went. In the list of the ended they may stand far behind the first page. */
function learnEnded(sessions) {
  if (endedKnown()) for (const { session_id: id } of sessions.slice(0, LEARN_MOST)) learn(id);
}

// ---- the socket

export function connect() {
  page.link?.close();
  page.link = openLink({
    address: () => addressOf("/ws", "ws"),
    hello: () => ({ type: "auth", payload: { token: token() } }),
    ready: "auth.ok",
    poll: async () => {
      try {
        await here();
        await reload();
      } catch (error) {
        if (error.status === 401) error.final = true;
        if (error.status === 403) deeds.elsewhere();
        throw error;
      }
    },
    onFrame: heard,
    onState: showLink,
  });
}

/** No socket says that this page is there: so it says so itself. Older servers don't know the word. */
const here = () => ask("POST", "me/here", {}).catch((error) => { if (error.status !== 404) throw error; });

function heard(type, payload) {
  if (type === "auth.ok") return freshStart();
  if (type === "error" && payload.code === "forbidden" && !page.loaded) return deeds.elsewhere();
  if (loading) early.push([type, payload]);
  if (page.loaded) take(type, payload);
}

/** The socket stands, from here on nothing is missed: now the load, again and again until it succeeds. */
async function freshStart() {
  await loading?.catch(() => {}); // one from before the socket may have missed something
  try {
    await reload();
  } catch (error) {
    if (error.status === 401) return;
    if (!(error instanceof Refused)) throw error;
    setTimeout(() => { if (page.link?.state === "live") freshStart(); }, error.retryAfter * 1000 || RELOAD_MS);
  }
}

function take(type, payload) {
  const what = desk.hear(type, payload);
  if (what.kind === "nothing") return;
  if (what.kind === "gap" && desk.rooms.has(what.id)) mendGap(what.id);
  if (what.kind === "canned") return learnCanned();
  if (what.isBehind) learnLine();
  if (what.kind === "unknown") setTimeout(() => learn(what.id), UNKNOWN_MS);
  if (what.kind === "arrived" && what.session.status === "waiting") queued(what.session);
  if (what.message) alertOf(what.session, what.message);
  if (what.message?.sender_type === "customer") got();
  if (what.id === page.open) seen();
  draw();
}

/** Somebody has changed them. */
function learnCanned() {
  cannedTimer ||= setTimeout(() => {
    cannedTimer = 0;
    ask("GET", "canned").then(({ canned }) => deeds.canned(canned)).catch(quietly);
  }, Math.random() * CANNED_MS);
}

async function learn(id) {
  if (desk.sessions.has(id)) return;
  try {
    desk.put(await ask("GET", `sessions/${id}`));
    draw();
  } catch (error) {
    quietly(error);
  }
}

const SHOWN_AS = { closed: "reconnecting" };

/** Chats that were not answered go to others when this page stays away. */
function warnLater(word) {
  if (word === "live" || word === "polling") clearTimeout(warning), warning = 0;
  else if (page.loaded) warning ||= setTimeout(() => toast(t("lostWarning"), "bad"), WARN_MS);
}

export function showLink(state, facts) {
  const word = state === "closed" && facts.code !== 4001 && facts.reason !== "left" ? "closed" : SHOWN_AS[state] ?? state;
  byId("live").dataset.state = word;
  warnLater(word);
  draw();
  setText(byId("live-text"), t(word === "closed" ? "polling" : word));
  setText(byId("boot-text"), t(word === "live" ? "loading" : word === "closed" ? "reconnecting" : word));
  setAttr(byId("live"), "title", t(`${word}Hint`) === `${word}Hint` ? null : t(`${word}Hint`));
  if (state === "closed" && (facts.code === 4001 || facts.code === 401)) deeds.signedOut();
  else if (word === "closed") setTimeout(() => { if (page.link?.state === "closed" && token()) connect(); }, COME_BACK_MS);
}
