/* The customer's page: start, wait, talk, rate. What is known is in talk.js; here it is drawn. */

import { ask } from "../core/api.js";
import { drawThread, sentence } from "./bubbles.js";
import { connectionBanner } from "./banner.js";
import { composer } from "./composer.js";
import { ratingForm } from "./ending.js";
import { waitingCards } from "./line.js";
import { openMenu } from "./menu.js";
import { playTone } from "./sound.js";
import { startForm } from "./start.js";
import { paint as paintIn } from "../core/colours.js";
import { avatar, byId, initials, keepingFocus, make, setText, toast } from "../core/dom.js";
import { firstLoad } from "./first-load.js";
import { leaveToInputMethod } from "../core/keys.js";
import { openReader, openSpeaker } from "../core/spoken.js";
import { Talk } from "./talk.js";
import { WANTS_PERSON } from "../core/thread.js";
import { onLanguage, t, translate } from "../words/words.js";
import "../words/chat.js";

const tenant = new URLSearchParams(location.search).get("tenant");
const KEPT = `giliran-chat-${tenant ?? ""}`;
const NEAR_PX = 80;
const UPLOAD_MOST = 10 * 1024 * 1024; // where the server does not say
const DESK_MS = 1500; // the form waits so long for who is online, not for ever

let talk = null;
let desk = null;
let drawing = 0;
let atEnd = true; // of the messages, where new ones are followed
let unseen = 0; // rows below what is looked at
let missed = 0; // rows since the page was left, for its title
let lastDrawn = 0;
let endsHere = false; // this customer, on this page

const scroll = byId("scroll");
const log = byId("log");
const reader = openReader(byId("told"), sentence);
const speaker = openSpeaker(byId("spoken"));
const drawBanner = connectionBanner({ speaker, shows: drawLive });
const write = composer({ talk: () => talk, said: toBottom, mostBytes: () => (desk?.upload_max_mb ? desk.upload_max_mb * 1024 * 1024 : UPLOAD_MOST) });
const cards = waitingCards({ leave, isWriting: () => write.typed !== "", moveText: write.add, speaker });
const start = startForm({ tenant, started: begun, kept: `start-${tenant ?? ""}`, again: () => askDesk().catch(() => {}) });
const rating = ratingForm({ rate: (stars, comment) => talk.rate(stars, comment), failed: () => toast(t("rateFailed"), "bad") });

/* --- from one view to the next */

function view(name) {
  document.body.dataset.view = name;
  for (const one of ["loading", "nowhere", "start", "chat"]) byId(`${one}-view`).hidden = one !== name;
  byId("live").hidden = name !== "chat";
}

leaveToInputMethod(document);

async function arrive() {
  translate(document);
  view("loading");
  const kept = recall();
  const asked = askDesk().catch(({ status }) => status);
  if (kept?.session_key) return resume(kept);
  const status = await Promise.race([asked, new Promise((done) => setTimeout(done, DESK_MS))]);
  if (status === 404) view("nowhere");
  else if (!talk) showStart();
}

const askDesk = () => ask("GET", `public/desk${tenant ? `?tenant_id=${encodeURIComponent(tenant)}` : ""}`).then(knowDesk);

function knowDesk(found) {
  desk = found;
  document.documentElement.toggleAttribute("data-brand", Boolean(desk.color));
  if (desk.color) paintIn(document.documentElement, desk.color);
  start.about(desk);
  drawHead(talk?.loaded ? talk.now : undefined);
  draw();
}

function showStart(known = recall() ?? {}, draft = "") {
  view("start");
  start.show(known, draft);
  start.place.focus({ preventScroll: true });
  drawHead();
}

function begun({ session_key, session_id, name, email }) {
  keep({ session_key, session_id, name, email });
  resume({ session_key, session_id });
}

async function resume({ session_key, session_id }) {
  talk?.close();
  const mine = (talk = new Talk(session_key, session_id, { changed: soon, lost }));
  lastDrawn = unseen = missed = 0;
  endsHere = false;
  rating.forget();
  byId("end-dialog").close(); // it asked about the chat before
  reader.hush();
  log.classList.add("still");
  log.replaceChildren();
  view("loading");
  const isWanted = () => mine === talk;
  if (!(await firstLoad(mine, { isWanted, trouble: () => loadingSays("unreachable"), gone: () => forget(t("lostSession")) }))) return;
  loadingSays("loading");
  view("chat");
  reader.begin(mine.thread.last);
  write.open();
  cards.open(talk.id);
  draw();
  toBottom();
  requestAnimationFrame(() => log.classList.remove("still"));
  if (!byId("away-form").hidden) byId("away-text").focus({ preventScroll: true });
  else if (matchMedia("(hover: hover)").matches) write.focus();
  else byId("who").focus({ preventScroll: true }); // no keyboard over half of a phone's screen
}

function loadingSays(key) {
  setText(byId("loading-text"), t(key));
  byId("loading-text").dataset.t = key;
  byId("load-now").hidden = key === "loading";
}

function lost(reason) {
  if (reason === "not_found") forget(t("lostSession"));
}

/** Back to the start. What was typed and not sent comes along. */
function forget(why) {
  const known = recall() ?? {};
  const typed = write.typed;
  write.clear();
  talk?.close();
  talk = null;
  keep({ name: known.name, email: known.email });
  loadingSays("loading");
  showStart(known, typed);
  if (why) start.trouble(why);
}

/* --- drawing */

function soon() {
  drawing ||= setTimeout(() => {
    drawing = 0;
    draw();
  });
}

function draw() {
  if (!talk?.loaded || document.body.dataset.view !== "chat") return;
  keepingFocus(document, paint, nextPlace);
  if (!endsHere || talk.now.status !== "ended") return;
  endsHere = false;
  nextPlace().focus({ preventScroll: true });
}

function paint() {
  const now = talk.now;
  const over = now.status === "ended";
  const follows = atEnd;
  document.body.dataset.status = now.status;
  drawHead(now);
  const asks = cards.draw(talk, now.status);
  byId("composer").hidden = over || asks;
  drawBanner(() => talk);
  drawThread(log, { rows: talk.thread.rows, pending: talk.pending, marks: talk.marks }, { again: (id) => talk.again(id), drop: (id) => talk.drop(id), files: talk.files });
  reader.read(talk.thread.rows);
  count(follows);
  drawTitle();
  drawTyping(now);
  byId("offers").hidden = !offersPerson(now);
  byId("ending").hidden = !over;
  byId("end").hidden = byId("end-rule").hidden = over;
  if (over) rating.draw(talk.rating, write.typed, talk.now.served);
  if (over) byId("end-dialog").close();
  if (over) talk.isOver();
  if (follows) toBottom();
  sawIt();
}

/** Where the focus goes when its place is gone. */
function nextPlace() {
  if (talk.now.status === "ended") return byId(talk.rating === null ? "ending-title" : "rated");
  return byId("composer").hidden ? byId("away-text") : byId("text");
}

const title = (now) => (now?.status === "active" && now.agent ? now.agent.name : desk?.name || t("chatTitle"));

function drawHead(now) {
  const agent = now?.status === "active" ? now.agent : null;
  setText(byId("who"), title(now));
  const lines = { waiting: talk?.closed ? "closedNow" : talk?.agentsOnline === 0 ? "awayNow" : "waitingTitle", ended: "endedTitle" };
  setText(byId("who-line"), !now || !talk ? "" : now.status in lines ? t(lines[now.status]) : (desk?.name ?? ""));
  const face = byId("face");
  const wanted = agent?.name ?? desk?.name ?? "";
  if (face.dataset.name !== wanted) {
    face.dataset.name = wanted;
    face.replaceChildren(agent ? avatar(wanted) : make("span", { class: "avatar of-tenant", text: initials(wanted), "aria-hidden": "true" }));
  }
  drawTitle();
}

function drawLive(state) {
  byId("live").dataset.state = state;
  setText(byId("live-text"), t({ polling: "live", closed: "refused" }[state] ?? state));
}

function drawTitle() {
  const name = title(talk?.loaded ? talk.now : undefined);
  const wanted = missed && document.hidden ? t("unreadTitle", { n: missed, title: name }) : name;
  if (document.title !== wanted) document.title = wanted;
}

function drawTyping(now) {
  const box = byId("typing");
  const text = talk.typing && now.status !== "ended" ? (talk.typing.name ? t("typing", { name: talk.typing.name }) : t("typingSomeone")) : "";
  if (box.dataset.text === text) return;
  box.dataset.text = text;
  box.replaceChildren(...(text ? [make("i", { "aria-hidden": "true" }, make("b"), make("b"), make("b")), make("span", { text })] : []));
}

const offersPerson = (now) => now.status === "waiting" && talk.thread.rows.some((row) => row.sender_type === "bot") && !talk.thread.rows.some((row) => row.body === WANTS_PERSON) && !talk.pending.some((letter) => letter.body === WANTS_PERSON);

/* --- what was seen */

const isAtBottom = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_PX;

function toBottom() {
  scroll.scrollTop = scroll.scrollHeight;
  atEnd = true;
  unseen = 0;
  drawNewest();
}

function count(follows) {
  const fresh = lastDrawn ? talk.thread.rows.filter((row) => row.seq > lastDrawn && row.sender_type !== "customer") : [];
  lastDrawn = talk.thread.last;
  if (document.hidden) missed += fresh.length;
  if (document.hidden && fresh.some((row) => row.sender_type === "agent")) playTone();
  if (!follows) unseen += fresh.filter((row) => row.sender_type !== "system").length;
  drawNewest();
}

function drawNewest() {
  byId("newest").hidden = isAtBottom();
  setText(byId("newest-text"), unseen ? t("newBelow", { n: unseen }) : "");
}

function sawIt() {
  if (document.hidden || !talk || !isAtBottom()) return;
  missed = 0;
  talk.seen();
}

scroll.addEventListener("scroll", () => {
  atEnd = isAtBottom();
  if (atEnd) unseen = 0;
  drawNewest();
  sawIt();
}, { passive: true });
log.addEventListener("grown", () => (atEnd ? toBottom() : drawNewest()));
new ResizeObserver(() => (atEnd ? toBottom() : drawNewest())).observe(scroll);
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !talk) return;
  missed = 0;
  drawTitle();
  soon();
});
byId("newest").addEventListener("click", () => (toBottom(), write.focus()));

/* --- what the customer asks for */

function leave(text) {
  talk.say(text);
  draw();
  toBottom();
}

byId("person").addEventListener("click", () => (talk.say(WANTS_PERSON), write.focus()));
byId("try-now").addEventListener("click", () => talk.link.retryNow());
byId("load-now").addEventListener("click", () => resume({ session_key: talk.key, session_id: talk.id }));
for (const [id, format] of [["transcript-txt", "txt"], ["transcript-json", "json"], ["ending-transcript", "txt"]]) {
  byId(id).addEventListener("click", () => talk.saveTranscript(format).catch(() => toast(t("saveFailed"), "bad")));
}
byId("new-chat").addEventListener("click", () => forget(""));
openMenu({
  end() {
    setText(byId("end-text"), t(talk.now.status === "waiting" ? "endWaiting" : "endText"));
    byId("end-dialog").returnValue = "";
    byId("end-dialog").showModal();
  },
});
byId("end-dialog").addEventListener("close", async ({ target }) => {
  if (target.returnValue !== "yes") return;
  endsHere = true;
  await talk.end().catch((error) => error.code !== "session_ended" && toast(t("endFailed"), "bad"));
  soon();
});

/* --- what is kept in this browser: the key of the session, so that a reload and another tab show the same chat */

function recall() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "null");
  } catch {
    return null; // storage may be forbidden: the chat lasts as long as the page
  }
}

function keep(what) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(what));
  } catch {
    /* see recall */
  }
}

/** The chat that another tab has begun; what was typed here is not lost. */
async function follow(kept) {
  const typed = start.takeQuestion();
  await resume(kept);
  if (typed) write.add(typed);
}

addEventListener("storage", (event) => {
  if (event.key !== KEPT) return;
  const kept = recall();
  const open = talk && talk.now.status !== "ended";
  if (kept?.session_key && kept.session_key !== talk?.key && !open) follow(kept);
});

onLanguage(() => {
  drawHead(talk?.loaded ? talk.now : undefined);
  draw();
});
arrive();
