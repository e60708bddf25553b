// The agent's page begins here: it puts the parts together, opens conversations, draws what the desk knows, and hears the
// buttons. The rest: agent-gate.js (sign-in), agent-sync.js (loads, socket), agent-finder.js (the list), agent-marks.js
// (alerts, read marks), agent-menu.js, agent-keys.js.

import { address, addressed, wireAddress } from "./address.js";
import { badge, offered } from "./alerts.js";
import { ask, keptTenant, onExpired, token } from "./api.js";
import { CannedEditor } from "./canned.js";
import { Composer } from "./composer.js";
import { deedsOf, enlarge, openTeam, openVisit, showTeam, wirePeople } from "./deeds.js";
import { showDetails } from "./details.js";
import { Drafts } from "./drafts.js";
import { chooseTab, hasMore, showSearch, wireFinder } from "./finder.js";
import { goToOverview, showGate, signedOut, wireGate } from "./gate.js";
import { fetchOpenRoom, fetchRoom } from "./history.js";
import { pick, step, wireKeys } from "./keys.js";
import { showList, tickList } from "./list.js";
import { newInLine, sayStuck, seen, unreadOfMine, wireMarks } from "./marks.js";
import { showKeys, showMe, wireMyMenu } from "./menu.js";
import { explain, quietly } from "./notices.js";
import { Outbox } from "./outbox.js";
import { flash, showRoom, showState, showTyping, toEnd } from "./room.js";
import { WIDE, desk, draw, drawsWith, innerScreen, page, screen, view } from "./state.js";
import { connect, reload, showLink, wireSync } from "./sync.js";
import { byId, setAttr } from "../core/dom.js";
import { leaveToInputMethod } from "../core/keys.js";
import { onLanguage, t, translate } from "../words/words.js";
import "../words/agent.js";

const outbox = new Outbox({
  link: () => page.link,
  changed: () => draw(),
  sent: (answer) => {
    desk.acknowledged({ sender_type: "agent", sender_id: desk.me.agent_id, sender_name: desk.me.name, attachments: [], ...answer });
    draw();
  },
});
const drafts = new Drafts();
const composer = new Composer(outbox, drafts, {
  canned: () => desk.canned,
  me: () => desk.me,
  say: ({ type, payload }) => page.link?.send(type, payload),
  noted: (id, note) => { desk.note(id, note); draw(); },
  stored: (message) => { if (message.seq) desk.acknowledged(message); draw(); },
  refused: explain,
  turned: () => draw(),
});
desk.stored = (id, clientId) => { outbox.settle(id, clientId); composer.uploads.settle(clientId); };
const editor = new CannedEditor(haveCanned);
const deeds = deedsOf(desk, (id) => outbox.written(id), (error) => {
  if (page.link?.state !== "live" || error?.status === 404 || error?.status === 409) reload().catch(quietly);
  draw();
});

function haveCanned(canned) {
  desk.canned = canned;
  composer.cannedChanged();
}

function begun() {
  page.loaded = true;
  byId("desk").hidden = false;
  byId("gate").hidden = true;
  byId("boot").hidden = true;
  byId("offer").hidden = !offered();
  composer.words();
  learnLimit().catch(quietly); // where it fails, the server refuses what is too large
  showDetailsPanel(WIDE.matches);
  if (desk.isBoss() && !desk.mine().length) chooseTab("all"); // they are given none by themselves
  if (document.activeElement === document.body) byId("rows").focus({ preventScroll: true });
  if (addressed()) openRoom(addressed(), { focus: false });
}

/** Back, Forward, an address: as if it had been clicked. */
function moved(id) {
  if (!page.loaded || id === page.open) return;
  if (page.open && innerScreen() === "details") return closeDetails(), address(page.open); // back to the conversation first
  if (id) openRoom(id);
  else closeRoom();
}

/** How large a file may be. */
async function learnLimit() {
  const tenant = keptTenant();
  const { upload_max_mb: most } = await ask("GET", `public/desk${tenant ? `?tenant_id=${encodeURIComponent(tenant)}` : ""}`);
  composer.filesHave(most * 2 ** 20);
}

// ---- conversations

let placed = null; // where the page itself has put the focus

async function openRoom(id, { seq, focus = true } = {}) {
  const move = (page.moves += 1);
  const session = desk.sessions.get(id);
  const focused = document.activeElement;
  placed = null;
  page.open = id;
  address(id);
  view.at = id;
  view.fresh.delete(id);
  screen("room");
  draw(true);
  try {
    if (session) await fetchOpenRoom(id);
    else await fetchRoom(id);
  } catch (error) {
    if (page.open === id) explain(error);
    if (!desk.sessions.has(id) && page.open === id) closeRoom();
  }
  if (page.open !== id) return;
  draw(true);
  if (page.moves !== move) return; // elsewhere meanwhile
  if (seq) flash(desk.sessions.get(id), seq);
  const moved = ![focused, placed, document.body].includes(document.activeElement); // somebody writes already
  if (focus && !moved) focusRoom(desk.sessions.get(id));
}

/** Where one goes on: writing, picking, reading. On a phone no keyboard comes up by itself. */
function focusRoom(session) {
  if (session.status === "waiting" && !byId("pick").hidden) return byId("pick").focus();
  const writes = desk.isMine(session) && matchMedia("(pointer: fine)").matches;
  (writes ? composer.text : byId("room-name")).focus({ preventScroll: true });
}

function closeRoom() {
  page.open = null;
  address(null);
  screen("list");
  byId("rows").focus();
  draw();
}

// ---- the customer beside it

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
  if (!over || [byId("details"), byId("details-button")].some((node) => node.contains(target)) || target.closest("dialog, .menu")) return;
  showDetailsPanel(false);
  screen("room");
}

function showDetailsPanel(on) {
  byId("details").hidden = !on;
  setAttr(byId("details-button"), "aria-expanded", on);
  byId("desk").classList.toggle("with-details", on);
}

// ---- drawing

function paint() {
  if (!page.loaded) return;
  const session = desk.sessions.get(page.open);
  const focused = document.activeElement;
  showMe();
  showTeam(desk);
  showList(view, desk, page.open);
  byId("more").hidden = !hasMore();
  composer.show(session, Boolean(session) && desk.mayWrite(session));
  showRoom(session, desk, { stuck: composer.keepsReply(), pending: outbox.pending(page.open), retry: (clientId) => outbox.retry(page.open, clientId), discard: (clientId) => outbox.discard(page.open, clientId), enlarge, refused: explain });
  showAsked();
  badge(unreadOfMine() + newInLine(), t("title"));
  showDetailsPanelFor(session);
  sayStuck(composer.keepsReply() ? page.open : "");
  if (focused !== document.body && !focused.getClientRects().length) focusNext();
  if (session && seen()) draw();
}

/** What had the focus is gone: it goes to the conversation that is shown, else to the list. */
function focusNext() {
  if (document.querySelector("dialog[open]") || !byId("gate").hidden) return;
  placed = page.open && byId("room-name").getClientRects().length ? byId("room-name") : byId("rows");
  placed.focus({ preventScroll: true });
}

function showDetailsPanelFor(session) {
  byId("desk").classList.toggle("no-room", !session);
  if (session) showDetails(session, desk.room(session.session_id), desk.visitsOf(session), (visit) => openVisit(visit, desk));
}

setInterval(() => {
  if (!page.loaded || document.hidden) return;
  tickList(desk);
  const session = desk.sessions.get(page.open);
  if (!session) return;
  showTyping(session, desk);
  if (session.status !== "ended") showState(session, desk);
}, 1000);

// ---- what the person does

const buttons = new Map(); // that do something to the open conversation → the name of it
const asked = new Set(); // what is done to which conversation, until the answer is there

/** The button rests until the answer is there: for that conversation, not for the next one. */
function wireDeed(button, name, deed) {
  buttons.set(button, name);
  button.addEventListener("click", async () => {
    const session = desk.sessions.get(page.open);
    const key = `${name} ${page.open}`;
    if (!session || asked.has(key)) return;
    asked.add(key);
    showAsked();
    await deed(session);
    asked.delete(key);
    showAsked();
    if (document.activeElement === document.body) focusNext();
  });
}

/** Not `disabled`: the focus would be lost. */
function showAsked() {
  for (const [button, name] of buttons) setAttr(button, "aria-disabled", asked.has(`${name} ${page.open}`) || null);
}

function wireButtons() {
  wireDeed(byId("pick"), "pick", pick);
  for (const deed of ["take", "give", "end"]) for (const button of [byId(deed), document.querySelector(`[data-deed=${deed}]`)]) wireDeed(button, deed, deeds[deed]);
  for (const button of document.querySelectorAll("[data-export]")) wireDeed(button, button.dataset.export, (session) => deeds.transcript(session, button.dataset.export));
  byId("rows").addEventListener("focus", () => { if (byId("rows").matches(":focus-visible")) step(0); }); // not by mouse: the list would move under it
  byId("rows").addEventListener("click", (event) => { const row = event.target.closest("[data-key]"); if (row) openRoom(row.dataset.key); });
  byId("back").addEventListener("click", closeRoom);
  byId("details-button").addEventListener("click", () => (byId("details").hidden ? openDetails() : closeDetails()));
  byId("details-back").addEventListener("click", closeDetails);
  document.addEventListener("pointerdown", leftDetails);
  byId("bar-deed").addEventListener("click", () => composer.focus("note"));
  byId("add-note").addEventListener("click", () => { screen("room"); if (!WIDE.matches) showDetailsPanel(false); composer.focus("note"); });
  byId("to-end").addEventListener("click", () => { toEnd(); seen(); draw(); });
  byId("log-box").addEventListener("scroll", () => { if (desk.sessions.get(page.open)?.unread) { seen(); draw(); } }, { passive: true });
  byId("team-button").addEventListener("click", () => openTeam(desk));
  byId("canned-edit").addEventListener("click", () => { composer.closePickers(); editor.open(byId("canned-button")); });
  byId("canned-menu").addEventListener("click", () => editor.open(byId("me-button")));
  byId("photo-dialog").addEventListener("click", (event) => { if (!event.target.closest("#photo-save")) byId("photo-dialog").close(); });
  WIDE.addEventListener("change", () => showDetailsPanel(WIDE.matches));
  wirePeople();
}

// ---- begin

drawsWith(paint);
translate(document);
onLanguage(() => { composer.words(); showLink(page.link?.state ?? "connecting", {}); showSearch(); byId("log").replaceChildren(); byId("visit-log").replaceChildren(); draw(); });
onExpired(signedOut);
wireSync({ begun, canned: haveCanned, signedOut, elsewhere: goToOverview, known: () => { outbox.open(desk.me.agent_id); drafts.open(desk.me.agent_id); }, settled: () => outbox.again() });
wireGate({ focusNext, entered: () => editor.resume(), leaves: () => { outbox.clear(); drafts.clear(); } });
wireFinder({ openRoom });
leaveToInputMethod(document);
wireMarks({ openRoom });
wireButtons();
wireAddress(moved);
wireMyMenu(deeds);
wireKeys({ ...deeds, openRoom, closeRoom, closeDetails, composer });
showKeys();
addEventListener("focus", () => { if (page.loaded) { seen(); draw(); } });
document.addEventListener("visibilitychange", () => { if (page.loaded && !document.hidden) draw(); });
byId("boot").hidden = false;
if (token()) connect();
else showGate("signInHint");
