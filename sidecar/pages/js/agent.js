// The agent's page begins here: sign-in, first load, the socket's events, and the panels that show what the desk knows.
// State comes from the first load and the events only; whenever the socket was away, the first load runs again. While the
// socket stands, no request is made except for what the person does.

import { Refused, ask, keepTenant, keepToken, keptTenant, onExpired, token } from "./agent-api.js";
import { askNotify, badge, blocked, notify, notifying, offered, play, queueWanted, refuseNotify, setQueue, setSingleKeys, setSound, singleKeys, sound } from "./agent-alerts.js";
import { CannedEditor } from "./agent-canned.js";
import { Composer } from "./agent-composer.js";
import { allMessages, deedsOf, enlarge, openKeys, openTeam, openVisit, showTeam, wirePeople } from "./agent-deeds.js";
import { Desk } from "./agent-desk.js";
import { showDetails } from "./agent-details.js";
import { byId, el, paintAvatar, setAttr, setText, wireMenu } from "./agent-dom.js";
import { showFound, showList, shownIn, tickList } from "./agent-list.js";
import { happening } from "./agent-log.js";
import { explain, toast } from "./agent-notices.js";
import { Outbox } from "./agent-outbox.js";
import { flash, isAtEnd, showRoom, showState, showTyping, toEnd } from "./agent-room.js";
import { openLink, socketUrl } from "./link.js";
import "./words-agent.js";
import { currentLanguage, onLanguage, span, speak, t, translate } from "./words.js";

const SEARCH_MS = 300;
const SEARCH_FROM = 2; // letters
const PAGES_MOST = 40;
const ROWS = 150; // that a list shows until somebody asks for more
const QUEUE_PAGE = 200; // GET queue tells so many at most
const RELOAD_MS = 2000;
const GOT_MS = 250;
const CANNED_MS = 1000; // within it all pages ask for canned replies that were changed, not all at one moment
const LEARN_MOST = 20; // sessions after a reconnect, each a request
const UNKNOWN_MS = 1500; // a message of a session that nobody told of: look, if it is still unknown then
const SAID_MS = 20_000; // a reader that is slow has read it by then
const SAID_MOST = 6;
const WIDE = matchMedia("(min-width: 1180px)");

const desk = new Desk();
const view = { tab: "mine", show: "open", filter: "", at: null, busy: true, most: ROWS, ended: () => endedOnes(), agent: "", only: { unread: false, unanswered: false }, fresh: new Set() };
const history = { rows: [], next: null, loaded: false, stale: false };
const arrivals = new Set(); // who came into the line since somebody looked there
let open = null; // the conversation that is shown
let moves = 0; // how often another tab or conversation was chosen
let link = null;
let loaded = false;
let loading = null; // the load that runs; events wait in `early` meanwhile
let early = [];
let drawing = 0;
let focusedBefore = null; // by whoever has to sign in again
let stuck = false; // the reply that is written may not be sent any more
let found = null;
let searchTimer = 0;
let gotTimer = 0;
let cannedTimer = 0;
const told = new Map(); // conversation → the seq up to which its customer was told "delivered"

const outbox = new Outbox({
  link: () => link,
  changed: () => draw(),
  sent: (answer) => {
    desk.acknowledged({ sender_type: "agent", sender_id: desk.me.agent_id, sender_name: desk.me.name, attachments: [], ...answer });
    draw();
  },
});
const composer = new Composer(outbox, {
  canned: () => desk.canned,
  me: () => desk.me,
  say: ({ type, payload }) => link?.send(type, payload),
  noted: (id, note) => { desk.note(id, note); draw(); },
  stored: (message) => { if (message.seq) desk.acknowledged(message); draw(); },
  refused: explain,
  turned: () => draw(),
});
const editor = new CannedEditor(haveCanned);
const deeds = deedsOf(desk, (id) => outbox.written(id), (error) => {
  if (link?.state !== "live" || error?.status === 404 || error?.status === 409) reload().catch(quietly);
  draw();
});

// ---- first load

async function firstLoad() {
  const [{ agent }, { agents }, { sessions: line }, active, { canned }] = await Promise.all(
    [ask("GET", "me"), ask("GET", "agents"), ask("GET", "queue"), every("active"), ask("GET", "canned")]);
  const known = agents.find((each) => each.agent_id === agent.agent_id);
  const behind = line.length < QUEUE_PAGE ? [] : await every("waiting");
  return { me: { ...known, ...agent }, agents, sessions: [...behind, ...active, ...line], canned };
}

async function every(status) {
  const all = [];
  let cursor = null;
  for (let page = 0; page < PAGES_MOST; page += 1) {
    const told = await ask("GET", `sessions?status=${status}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    all.push(...told.sessions);
    cursor = told.next;
    if (!cursor) break;
  }
  return all;
}

/** The first load, and every later one: one at a time, and what is heard meanwhile is applied after it. */
function reload() {
  loading ??= load().finally(() => { loading = null; });
  return loading;
}

async function load() {
  early = [];
  const before = { unread: unreadOfMine(), known: new Map(desk.sessions) };
  const state = await firstLoad();
  history.rows.push(...[...desk.sessions.values()].filter((session) => session.status === "ended"));
  history.stale = history.loaded;
  desk.load(state, open);
  outbox.open(state.me.agent_id);
  view.busy = false;
  const heard = early;
  early = [];
  for (const [type, payload] of heard) take(type, payload);
  if (open) await fetchRoom(open).catch((error) => { if (error.status !== 404) throw error; });
  if (loaded) missed(before);
  if (!loaded) begun();
  got();
  outbox.again();
  if (endedShown()) freshHistory();
  draw();
}

/** What no event told, since the socket was away. */
function missed({ unread, known }) {
  if (link?.state !== "live" && unreadOfMine() > unread) play("message");
  for (const { session_id: id } of desk.mine()) if (!desk.isMine(known.get(id) ?? {}) && id !== open) view.fresh.add(id);
  for (const session of desk.line()) if (known.get(session.session_id)?.status !== "waiting") queued(session);
  learnEnded([...known.values()].filter(({ session_id: id, status }) => status !== "ended" && !desk.sessions.has(id)));
}

/** They were open when the socket went. In the list of the ended they may stand far behind the first page. */
function learnEnded(sessions) {
  if (history.loaded) for (const { session_id: id } of sessions.slice(0, LEARN_MOST)) learn(id);
}

function begun() {
  loaded = true;
  byId("desk").hidden = false;
  byId("gate").hidden = true;
  byId("boot").hidden = true;
  byId("offer").hidden = !offered();
  composer.words();
  learnLimit().catch(quietly); // where it fails, the server refuses what is too large
  showDetailsPanel(WIDE.matches);
  if (document.activeElement === document.body) byId("rows").focus({ preventScroll: true });
}

/** How large a file may be. */
async function learnLimit() {
  const tenant = keptTenant();
  const { upload_max_mb: most } = await ask("GET", `public/desk${tenant ? `?tenant_id=${encodeURIComponent(tenant)}` : ""}`);
  composer.uploads.mostBytes = most * 2 ** 20;
}

// ---- the socket

function connect() {
  link?.close();
  link = openLink({
    address: () => socketUrl("/ws"),
    hello: () => ({ type: "auth", payload: { token: token() } }),
    ready: "auth.ok",
    poll: async () => {
      try {
        await here();
        await reload();
      } catch (error) {
        if (error.status === 401) error.final = true;
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
  if (loading) early.push([type, payload]);
  if (loaded) take(type, payload);
}

/** The socket stands, from here on nothing is missed: now the load, again and again until it succeeds. */
async function freshStart() {
  await loading?.catch(() => {}); // one from before the socket may have missed something
  try {
    await reload();
  } catch (error) {
    if (error.status === 401) return;
    if (!(error instanceof Refused)) throw error;
    setTimeout(() => { if (link?.state === "live") freshStart(); }, error.retryAfter * 1000 || RELOAD_MS);
  }
}

function take(type, payload) {
  const what = desk.hear(type, payload);
  if (what.kind === "nothing") return;
  if (what.kind === "gap" && desk.rooms.has(what.id)) fetchRoom(what.id).then(draw, explain);
  if (what.kind === "canned") return learnCanned();
  if (what.kind === "unknown") setTimeout(() => learn(what.id), UNKNOWN_MS);
  if (what.kind === "arrived" && what.session.status === "waiting") queued(what.session);
  if (what.message) alertOf(what.session, what.message);
  if (what.message?.sender_type === "customer") got();
  if (what.id === open) seen();
  draw();
}

/** Tells the customers of this agent that their messages have arrived here: one mark for many messages. */
function got() {
  gotTimer ||= setTimeout(() => {
    gotTimer = 0;
    for (const session of desk.mine()) {
      if (!session.unread || told.get(session.session_id) === session.last_seq) continue;
      if (link?.send("chat.message.delivered", { session_id: session.session_id, up_to_seq: session.last_seq })) told.set(session.session_id, session.last_seq);
    }
  }, GOT_MS);
}

/** Somebody has changed them. */
function learnCanned() {
  cannedTimer ||= setTimeout(() => {
    cannedTimer = 0;
    ask("GET", "canned").then(({ canned }) => haveCanned(canned)).catch(quietly);
  }, Math.random() * CANNED_MS);
}

function haveCanned(canned) {
  desk.canned = canned;
  composer.cannedChanged();
}

async function learn(id) {
  if (desk.sessions.has(id)) return;
  try {
    desk.put(await ask("GET", `sessions/${id}`));
    draw();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}

const SHOWN_AS = { closed: "reconnecting" };

function showLink(state, facts) {
  const word = state === "closed" && facts.code !== 4001 && facts.reason !== "left" ? "closed" : SHOWN_AS[state] ?? state;
  byId("live").dataset.state = word;
  setText(byId("live-text"), t(word === "closed" ? "polling" : word));
  setText(byId("boot-text"), t(word === "live" ? "loading" : word === "closed" ? "reconnecting" : word));
  setAttr(byId("live"), "title", t(`${word}Hint`) === `${word}Hint` ? null : t(`${word}Hint`));
  if (state === "closed" && (facts.code === 4001 || facts.code === 401)) signedOut();
  else if (word === "closed") setTimeout(() => { if (link?.state === "closed" && token()) connect(); }, 15_000);
}

// ---- alerts

function alertOf(session, message) {
  const mine = desk.isMine(session);
  const { event, sender_type: sender } = message;
  const given = (event?.type === "assigned" || event?.type === "transferred") && event.agent_id === desk.me.agent_id;
  if (!given && session.session_id === open) sayRow(session, message);
  if (given) {
    say(t("n_assigned", { name: session.customer.name }));
    if (session.session_id !== open) view.fresh.add(session.session_id);
    if (event.by !== desk.me.agent_id) tell("assigned", t("n_assigned", { name: session.customer.name }), session.last_message?.body ?? "", session);
  }
  if (event?.type === "released") queued(session);
  if (sender !== "customer" || !mine) return;
  const text = message.body || message.attachments?.[0]?.name || "";
  if (session.session_id !== open || document.hidden || !document.hasFocus()) tell("message", t("n_message", { name: session.customer.name }), text, session);
}

/** Somebody new in the line. Whoever is given chats needs not look there: only those who pick by hand are told. */
function queued(session) {
  const boss = desk.isBoss();
  if (!queueWanted(boss) || (!boss && desk.me.presence === "online") || arrivals.has(session.session_id)) return;
  arrivals.add(session.session_id);
  const title = t("n_queued", { name: session.customer.name });
  say(title);
  if (!looksAtQueue()) tell("queued", title, session.last_message?.body ?? "", session);
}

const looksAtQueue = () => view.tab === "queue" && !document.hidden && document.hasFocus();

/** How many of them wait still. */
function newInLine() {
  for (const id of arrivals) if (looksAtQueue() || desk.sessions.get(id)?.status !== "waiting") arrivals.delete(id);
  return arrivals.size;
}

function tell(tune, title, text, session) {
  play(tune);
  notify(title, text.slice(0, 160), session.session_id, () => openRoom(session.session_id));
}

/** For those who hear the page. A node of its own each time: the same words again are said again. */
function say(text) {
  const said = el("p", { text, dir: "auto" });
  byId("said").append(said);
  if (byId("said").childElementCount > SAID_MOST) byId("said").firstElementChild.remove();
  setTimeout(() => said.remove(), SAID_MS);
}

/** What comes into the conversation that is shown, whoever has it; not what this agent did. */
function sayRow(session, message) {
  const { sender_type: sender, sender_id: id, sender_name: name, event, body, attachments } = message;
  if (id === desk.me.agent_id || String(event?.by ?? "").includes(desk.me.agent_id)) return;
  if (sender === "system") return say(happening(message, desk.me));
  say(t("said_message", { name: sender === "bot" ? t("bot") : name || session.customer.name, text: body || attachments?.[0]?.name || "" }));
}

const unreadOfMine = () => (desk.me ? desk.mine().reduce((sum, session) => sum + session.unread, 0) : 0);

/** Read: shown, at the end, by its own agent, who looks at the page. Answers whether something was read just now. */
function seen() {
  const session = desk.sessions.get(open);
  if (!session?.unread || !desk.isMine(session) || document.hidden || !document.hasFocus() || !isAtEnd()) return false;
  if (!desk.room(open).loaded || desk.heldTo(open) < session.last_seq || innerScreen() === "list") return false;
  const payload = { session_id: open, up_to_seq: session.last_seq };
  if (!link?.send("chat.message.read", payload)) ask("POST", `sessions/${open}/read`, { up_to_seq: session.last_seq }).catch(quietly);
  desk.hear("chat.message.read", { ...payload, by: "agent" });
  return true;
}

const quietly = (error) => { if (!(error instanceof Refused)) throw error; };

// ---- conversations

async function openRoom(id, { seq, focus = true } = {}) {
  moves += 1;
  const session = desk.sessions.get(id);
  const focused = document.activeElement;
  open = id;
  view.at = id;
  view.fresh.delete(id);
  screen("room");
  draw(true);
  try {
    const room = desk.room(id);
    if (!session || !room.loaded || room.stale) await fetchRoom(id);
  } catch (error) {
    explain(error);
    if (!desk.sessions.has(id)) closeRoom();
  }
  if (open !== id) return;
  draw(true);
  if (seq) flash(seq);
  const moved = ![focused, document.body].includes(document.activeElement); // somebody writes already
  if (focus && !moved) focusRoom(desk.sessions.get(id));
}

/** Where one goes on: writing, picking, reading. On a phone no keyboard comes up by itself. */
function focusRoom(session) {
  if (session.status === "waiting" && !byId("pick").hidden) return byId("pick").focus();
  const writes = desk.isMine(session) && matchMedia("(pointer: fine)").matches;
  (writes ? composer.text : byId("room-name")).focus({ preventScroll: true });
}

async function fetchRoom(id) {
  const [told, messages] = await Promise.all([ask("GET", `sessions/${id}`), allMessages(id, desk.heldTo(id))]);
  const { notes, visits, ...session } = told;
  desk.put(session);
  desk.rows(id, messages, { complete: true });
  desk.details(id, { notes, visits });
}

function closeRoom() {
  open = null;
  screen("list");
  byId("rows").focus();
  draw();
}

const innerScreen = () => (getComputedStyle(byId("back")).display === "none" ? "all" : byId("desk").dataset.screen);

function screen(wanted) {
  byId("desk").dataset.screen = wanted;
}

function openDetails() {
  showDetailsPanel(true);
  screen("details");
  if (!WIDE.matches) byId("details-back").focus();
}

function closeDetails() {
  showDetailsPanel(false);
  screen("room");
  byId("details-button").focus();
}

/** On a tablet it lies over the conversation. */
function leftDetails({ target }) {
  const over = !byId("details").hidden && !WIDE.matches && innerScreen() === "all";
  if (!over || [byId("details"), byId("details-button")].some((node) => node.contains(target)) || target.closest("dialog, [popover]")) return;
  showDetailsPanel(false);
  screen("room");
}

function showDetailsPanel(on) {
  byId("details").hidden = !on;
  setAttr(byId("details-button"), "aria-expanded", on);
  byId("desk").classList.toggle("with-details", on);
}

const endedOnes = () => {
  const here = [...desk.sessions.values()].filter((session) => session.status === "ended");
  const all = new Map([...history.rows, ...here].map((session) => [session.session_id, session]));
  return [...all.values()].sort((a, b) => (b.ended_at ?? "").localeCompare(a.ended_at ?? ""));
};

const isCut = () => shownIn(view, desk).length > view.most;
const endedShown = () => view.tab === "all" && view.show === "ended";

function more() {
  if (isCut()) view.most += ROWS;
  else if (endedShown()) return moreHistory();
  draw();
}

const historyPage = (cursor) => ask("GET", `sessions?status=ended${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);

async function moreHistory() {
  try {
    const told = await historyPage(history.next);
    history.rows.push(...told.sessions);
    if (history.loaded) view.most += told.sessions.length;
    Object.assign(history, { next: told.next, loaded: true });
  } catch (error) {
    explain(error);
  }
  draw();
}

/** The first page once more: what ended while the socket was away is on it. Later pages stay as they are, unless so much
    has ended that the new first page does not reach to them. */
async function freshHistory() {
  if (!history.loaded) return moreHistory();
  if (!history.stale) return;
  history.stale = false;
  try {
    const { sessions, next } = await historyPage(null);
    const known = new Set(history.rows.map((session) => session.session_id));
    const reaches = !next || sessions.some((session) => known.has(session.session_id));
    Object.assign(history, reaches ? { rows: [...history.rows, ...sessions] } : { rows: sessions, next });
  } catch (error) {
    history.stale = true;
    quietly(error);
  }
  draw();
}

function chooseTab(tab) {
  moves += 1;
  Object.assign(view, { tab, most: ROWS });
  for (const each of document.querySelectorAll("#tabs [role=tab]")) {
    const chosen = each.dataset.tab === tab;
    setAttr(each, "aria-selected", chosen);
    each.tabIndex = chosen ? 0 : -1;
  }
  setAttr(byId("list-box"), "aria-labelledby", `tab-${tab}`);
  byId("chips").hidden = tab !== "all";
  if (endedShown()) freshHistory();
  draw();
}

function chooseShow(show) {
  Object.assign(view, { show, most: ROWS });
  for (const each of document.querySelectorAll("[data-show]")) setAttr(each, "aria-pressed", each.dataset.show === show);
  if (endedShown()) freshHistory();
  draw();
}

function narrow(change) {
  Object.assign(view, change, { most: ROWS });
  for (const chip of document.querySelectorAll("[data-only]")) setAttr(chip, "aria-pressed", view.only[chip.dataset.only]);
  draw();
}

// ---- search

function searched() {
  view.filter = byId("search").value;
  clearTimeout(searchTimer);
  found = view.filter.trim().length >= SEARCH_FROM ? { busy: true, results: [] } : null;
  if (found) searchTimer = setTimeout(() => searchAll(view.filter.trim()), SEARCH_MS);
  showFound(found, openFound);
  draw();
}

async function searchAll(q) {
  try {
    const [{ results }, { sessions }] = await Promise.all([ask("GET", `search?q=${encodeURIComponent(q)}`), ask("GET", `sessions?q=${encodeURIComponent(q)}`)]);
    if (q !== view.filter.trim()) return;
    const inMessages = new Set(results.map((hit) => hit.session_id));
    const shown = new Set(shownIn(view, desk).map((session) => session.session_id));
    const people = sessions.filter(({ session_id: id }) => !inMessages.has(id) && !shown.has(id))
      .map((session) => ({ session_id: session.session_id, customer: session.customer, message: session.last_message, created_at: session.created_at, snippet: session.last_message?.body ?? session.customer.email, person: true }));
    found = { results: [...results, ...people] };
  } catch (error) {
    if (q !== view.filter.trim()) return;
    found = { results: [] };
    explain(error);
  }
  showFound(found, openFound);
}

const openFound = (id, seq) => openRoom(id, { seq, focus: false });

// ---- drawing

/** Once a frame, however many events came. */
function draw(now = false) {
  if (now) return paint();
  drawing ||= document.hidden ? setTimeout(paint, 200) : requestAnimationFrame(paint);
}

function paint() {
  drawing = 0;
  if (!loaded) return;
  const session = desk.sessions.get(open);
  const focused = document.activeElement;
  showMe();
  showTeam(desk);
  showList(view, desk, open);
  byId("more").hidden = !isCut() && !(endedShown() && history.next);
  if (session) composer.show(session, desk.mayWrite(session));
  showRoom(session, desk, { stuck: composer.isStuck(), pending: outbox.pending(open), retry: (clientId) => outbox.retry(open, clientId), discard: (clientId) => outbox.discard(open, clientId), enlarge, refused: explain });
  badge(unreadOfMine() + newInLine(), t("title"));
  showDetailsPanelFor(session);
  sayStuck(session && composer.isStuck());
  if (focused !== document.body && !focused.getClientRects().length) focusNext();
  if (session && seen()) draw();
}

/** What had the focus is gone: it goes to the conversation that is shown, else to the list. */
function focusNext() {
  if (document.querySelector("dialog[open]") || !byId("gate").hidden) return;
  (open && byId("room-name").getClientRects().length ? byId("room-name") : byId("rows")).focus({ preventScroll: true });
}

/** Once, when it happens. */
function sayStuck(now) {
  if (now && !stuck) say(byId("bar-text").textContent);
  stuck = Boolean(now);
}

function showDetailsPanelFor(session) {
  byId("desk").classList.toggle("no-room", !session);
  if (session) showDetails(session, desk.room(session.session_id), (visit) => openVisit(visit, desk));
}

function showMe() {
  paintAvatar(byId("me-avatar"), desk.me.name);
  byId("me-button").dataset.presence = desk.me.presence;
  setText(byId("me-name"), desk.me.name);
  setText(byId("me-email"), desk.me.email);
  for (const node of document.querySelectorAll("[data-boss]")) node.hidden = !desk.isBoss();
}

setInterval(() => {
  if (!loaded || document.hidden) return;
  tickList(desk);
  const session = desk.sessions.get(open);
  if (!session) return;
  showTyping(session, desk);
  if (session.status === "waiting") showState(session, desk);
}, 1000);

// ---- sign-in

function signedOut() {
  if (!byId("gate").hidden) return;
  link?.close();
  link = null;
  keepToken(null);
  showGate(loaded ? "signInAgain" : "signInHint");
}

function showGate(why) {
  byId("boot").hidden = true;
  byId("gate").hidden = false;
  byId("desk").inert = true;
  byId("login-why").dataset.t = why;
  setText(byId("login-why"), t(why));
  focusedBefore = document.activeElement;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  (byId("email").value ? byId("password") : byId("email")).focus();
}

async function signIn(event) {
  event.preventDefault();
  const [email, password, tenant] = ["email", "password", "tenant"].map((id) => byId(id).value.trim());
  if (!email || !byId("password").value) return loginError(t("e_fields"), email ? "password" : "email");
  byId("login-button").disabled = true;
  setText(byId("login-button"), t("signingIn"));
  try {
    const told = await ask("POST", "auth/login", { email, password: password && byId("password").value, ...(tenant ? { tenant_id: tenant } : {}) });
    keepTenant(tenant);
    enter(told);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refusedLogin(error);
  } finally {
    byId("login-button").disabled = false;
    setText(byId("login-button"), t("signIn"));
  }
}

function enter({ token: fresh, agent }) {
  if (loaded && desk.me.agent_id !== agent.agent_id) { keepToken(fresh, byId("stay").checked); return location.reload(); }
  keepToken(fresh, byId("stay").checked);
  byId("password").value = "";
  byId("login-error").hidden = true;
  byId("desk").inert = false;
  byId("gate").hidden = true;
  byId("boot").hidden = loaded;
  connect();
  if (loaded && focusedBefore?.getClientRects().length) focusedBefore.focus();
  else if (loaded) focusNext();
  editor.resume();
}

function refusedLogin({ status, code, message, retryAfter }) {
  if (status === 400 && message.includes("tenant_id")) {
    byId("tenant-field").hidden = false;
    return loginError(t("e_tenant"), "tenant");
  }
  if (status === 429) return loginError(t("e_login_many", { wait: span(retryAfter || 60) }), "email");
  if (status === 401 || status === 403 || status === 404) return loginError(t("e_login"), "password");
  loginError(code === "unreachable" ? t("x_unreachable") : code === "unavailable" ? t("x_unavailable") : t("x_failed", { why: message }), "password");
}

function loginError(text, field) {
  byId("login-error").hidden = false;
  setText(byId("login-error"), text);
  byId(field).focus();
}

async function signOut() {
  await ask("POST", "auth/logout", {}).catch(quietly);
  link?.close();
  keepToken(null);
  location.reload();
}

// ---- what the person does

function wireButtons() {
  const current = (deed) => async ({ currentTarget: button }) => {
    const session = desk.sessions.get(open);
    if (!session || button.ariaDisabled === "true") return;
    setAttr(button, "aria-disabled", true); // not `disabled`: the focus would be lost
    await deed(session);
    setAttr(button, "aria-disabled", null);
    if (document.activeElement === document.body) focusNext();
  };
  byId("login").addEventListener("submit", signIn);
  byId("pick").addEventListener("click", current(pick));
  for (const deed of ["take", "give", "end"]) for (const button of [byId(deed), document.querySelector(`[data-deed=${deed}]`)]) button.addEventListener("click", current(deeds[deed]));
  for (const button of document.querySelectorAll("[data-export]")) button.addEventListener("click", current((session) => deeds.transcript(session, button.dataset.export)));
  for (const tab of document.querySelectorAll("#tabs [role=tab]")) tab.addEventListener("click", () => chooseTab(tab.dataset.tab));
  byId("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const names = ["mine", "queue", "all"];
    chooseTab(names[(names.indexOf(view.tab) + step + names.length) % names.length]);
    byId(`tab-${view.tab}`).focus();
  });
  for (const chip of document.querySelectorAll("[data-show]")) chip.addEventListener("click", () => chooseShow(chip.dataset.show));
  for (const chip of document.querySelectorAll("[data-only]")) chip.addEventListener("click", () => narrow({ only: { ...view.only, [chip.dataset.only]: !view.only[chip.dataset.only] } }));
  byId("of-agent").addEventListener("change", () => narrow({ agent: byId("of-agent").value }));
  byId("rows").addEventListener("focus", () => { if (byId("rows").matches(":focus-visible")) step(0); }); // not by mouse: the list would move under it
  byId("more").addEventListener("click", more);
  byId("search").addEventListener("input", searched);
  byId("rows").addEventListener("click", (event) => { const row = event.target.closest("[data-key]"); if (row) openRoom(row.dataset.key); });
  byId("back").addEventListener("click", closeRoom);
  byId("details-button").addEventListener("click", () => (byId("details").hidden ? openDetails() : closeDetails()));
  byId("details-back").addEventListener("click", closeDetails);
  document.addEventListener("pointerdown", leftDetails);
  byId("bar-deed").addEventListener("click", () => composer.focus("note"));
  byId("add-note").addEventListener("click", () => { screen("room"); if (!WIDE.matches) showDetailsPanel(false); composer.focus("note"); });
  byId("to-end").addEventListener("click", () => { toEnd(); seen(); draw(); });
  byId("log-box").addEventListener("scroll", () => { if (desk.sessions.get(open)?.unread) { seen(); draw(); } }, { passive: true });
  byId("team-button").addEventListener("click", () => openTeam(desk));
  byId("canned-edit").addEventListener("click", () => { composer.closePickers(); editor.open(byId("canned-button")); });
  byId("canned-menu").addEventListener("click", () => editor.open(byId("me-button")));
  byId("photo-dialog").addEventListener("click", (event) => { if (!event.target.closest("a")) byId("photo-dialog").close(); });
  WIDE.addEventListener("change", () => showDetailsPanel(WIDE.matches));
  wirePeople();
}

function wireMyMenu() {
  wireMenu(byId("me-button"), byId("me-menu"), () => {
    for (const choice of document.querySelectorAll("[data-wish]")) setAttr(choice, "aria-checked", choice.dataset.wish === desk.me.presence);
    setAttr(byId("sound-switch"), "aria-checked", sound());
    setAttr(byId("queue-switch"), "aria-checked", queueWanted(desk.isBoss()));
    setText(byId("queue-hint"), desk.isBoss() ? "" : t("whileAway"));
    setAttr(byId("notify-switch"), "aria-checked", notifying());
    setAttr(byId("keys-switch"), "aria-checked", singleKeys());
    showLanguage();
  });
  wireMenu(byId("more-button"), byId("more-menu"));
  for (const choice of document.querySelectorAll("[data-wish]")) choice.addEventListener("click", () => { byId("me-menu").hidePopover(); wish(choice.dataset.wish); });
  byId("sound-switch").addEventListener("click", () => { setSound(!sound()); setAttr(byId("sound-switch"), "aria-checked", sound()); });
  byId("queue-switch").addEventListener("click", () => { setQueue(!queueWanted(desk.isBoss())); setAttr(byId("queue-switch"), "aria-checked", queueWanted(desk.isBoss())); });
  byId("notify-switch").addEventListener("click", turnNotify);
  byId("keys-switch").addEventListener("click", () => { setSingleKeys(!singleKeys()); setAttr(byId("keys-switch"), "aria-checked", singleKeys()); showKeys(); });
  for (const choice of document.querySelectorAll("[data-speaks]")) choice.addEventListener("click", () => { speak(choice.dataset.speaks); showLanguage(); });
  byId("notify-yes").addEventListener("click", turnNotify);
  byId("notify-no").addEventListener("click", () => { refuseNotify(); byId("offer").hidden = true; });
  byId("keys-button").addEventListener("click", () => openKeys(singleKeys()));
  byId("sign-out").addEventListener("click", signOut);
  byId("copy-id").addEventListener("click", () => navigator.clipboard.writeText(open).then(() => toast(t("copied")), () => toast(open)));
}

function showLanguage() {
  for (const choice of document.querySelectorAll("[data-speaks]")) setAttr(choice, "aria-checked", choice.dataset.speaks === currentLanguage());
}

/** Where single keys are off, none is offered. */
function showKeys() {
  document.body.classList.toggle("no-keys", !singleKeys());
  setAttr(byId("search"), "aria-keyshortcuts", singleKeys() ? "/" : null);
}

async function wish(presence) {
  const before = desk.me.presence;
  desk.me = { ...desk.me, presence };
  draw();
  if (!(await deeds.presence(presence))) { desk.me = { ...desk.me, presence: before }; draw(); }
}

async function turnNotify() {
  if (notifying()) refuseNotify();
  else {
    await askNotify();
    if (blocked()) toast(t("notifyBlocked"), "bad");
  }
  setAttr(byId("notify-switch"), "aria-checked", notifying());
  byId("offer").hidden = true;
}

// ---- keys

const typingIn = (node) => node.matches?.("input, textarea, select, [contenteditable]");

const KEYS = {
  j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
  Home: () => step(-Infinity), End: () => step(Infinity),
  Enter: () => { if (view.at) openRoom(view.at); },
  "/": () => { screen("list"); byId("search").focus(); byId("search").select(); },
  p: pickNext, r: () => composer.focus("reply"), n: () => composer.focus("note"),
  1: () => chooseTab("mine"), 2: () => chooseTab("queue"), 3: () => chooseTab("all"), "?": () => openKeys(true),
};
const IN_LIST_ONLY = new Set(["ArrowDown", "ArrowUp", "Home", "End", "Enter"]);

function wireKeys() {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !loaded || !byId("gate").hidden) return;
    if (document.querySelector("dialog[open], :popover-open")) return;
    if (event.key === "Escape") return escape(event);
    if (event.target === byId("search") && ["ArrowDown", "Enter"].includes(event.key)) { event.preventDefault(); byId("rows").focus(); return step(0); }
    if (typingIn(event.target) || (event.key.length === 1 && !singleKeys())) return;
    if (IN_LIST_ONLY.has(event.key) && event.target !== byId("rows") && event.target !== document.body) return;
    const deed = KEYS[event.key];
    if (!deed || (["r", "n"].includes(event.key) && !open)) return;
    event.preventDefault();
    deed();
  });
}

function step(by) {
  const rows = shownIn(view, desk);
  if (!rows.length) return;
  const now = rows.findIndex((session) => session.session_id === view.at);
  const to = now < 0 ? (by < 0 ? rows.length - 1 : 0) : Math.min(Math.max(now + by, 0), rows.length - 1);
  view.at = rows[to].session_id;
  byId("rows").focus({ preventScroll: true });
  draw(true);
  byId(`row-${view.at}`)?.scrollIntoView({ block: "nearest" });
}

function pickNext() {
  const [first] = desk.line();
  if (!first) return toast(t("emptyQueue"));
  pick(first);
}

/** Then it is opened, unless the agent has gone elsewhere while the answer was on its way. */
async function pick(session) {
  const before = moves;
  if (!(await deeds.pick(session)) || moves !== before) return;
  chooseTab("mine");
  openRoom(session.session_id);
}

function escape(event) {
  if (composer.closePickers()) return composer.text.focus();
  if (event.target === byId("search")) { byId("search").value = ""; searched(); return byId("rows").focus(); }
  if (typingIn(event.target)) return byId("log-box").focus();
  if (!byId("details").hidden && !WIDE.matches) return closeDetails();
  if (open) closeRoom();
}

// ---- begin

translate(document);
onLanguage(() => { composer.words(); showLink(link?.state ?? "connecting", {}); showFound(found, openFound); byId("log").replaceChildren(); byId("visit-log").replaceChildren(); draw(); });
onExpired(signedOut);
wireButtons();
wireMyMenu();
wireKeys();
showKeys();
addEventListener("focus", () => { if (loaded) { seen(); draw(); } });
document.addEventListener("visibilitychange", () => { if (loaded && !document.hidden) draw(); });
byId("boot").hidden = false;
if (token()) connect();
else showGate("signInHint");
