/* The customer's page: start, wait, talk, rate. What is known is in talk.js; here it is drawn. */

import { ask } from "./api.js";
import { items, WANTS_PERSON } from "./bubbles.js";
import { composer } from "./chat-composer.js";
import { ratingForm } from "./chat-ending.js";
import { startForm } from "./chat-start.js";
import { avatar, byId, make, reconcile, toast } from "./dom.js";
import { Talk } from "./talk.js";
import { onLanguage, span, t, translate } from "./words.js";
import "./words-chat.js";

const tenant = new URLSearchParams(location.search).get("tenant");
const KEPT = `giliran-chat-${tenant ?? ""}`;
const NEAR_PX = 80;
const UPLOAD_MOST = 10 * 1024 * 1024; // where the server does not say
const BEHIND_MS = 1500; // a connection that is back within this was never worth a word

let talk = null;
let desk = null;
let drawing = 0;
let unseen = 0; // rows below what is looked at
let missed = 0; // rows since the page was left, for its title
let lastDrawn = 0;
let connectionTimer = 0;

const scroll = byId("scroll");
const log = byId("log");
const write = composer({ talk: () => talk, said: toBottom, mostBytes: () => (desk?.upload_max_mb ? desk.upload_max_mb * 1024 * 1024 : UPLOAD_MOST) });
const start = startForm({ tenant, started: begun });
const rating = ratingForm({ rate: (stars, comment) => talk.rate(stars, comment), failed: () => toast(t("rateFailed"), "bad") });

/* --- from one view to the next */

function view(name) {
  document.body.dataset.view = name;
  byId("start-view").hidden = name !== "start";
  byId("chat-view").hidden = name !== "chat";
  byId("more").hidden = byId("live").hidden = name !== "chat";
}

async function arrive() {
  translate(document);
  const kept = recall();
  if (kept?.session_key) await resume(kept);
  else showStart();
  desk = await ask("GET", `public/desk${tenant ? `?tenant_id=${encodeURIComponent(tenant)}` : ""}`).catch(() => null);
  if (desk) start.about(desk);
  drawHead(talk?.loaded ? talk.now : undefined);
  draw();
}

function showStart(known = recall() ?? {}) {
  view("start");
  start.show(known);
  drawHead();
}

function begun({ session_key, session_id, name, email }) {
  keep({ session_key, session_id, name, email });
  resume({ session_key, session_id });
}

async function resume({ session_key, session_id }) {
  talk?.close();
  talk = new Talk(session_key, session_id, { changed: soon, lost });
  lastDrawn = unseen = missed = 0;
  rating.forget();
  log.replaceChildren();
  view("loading");
  for (let tries = 1; ; tries += 1) {
    const mine = talk;
    try {
      await talk.open();
      break;
    } catch (error) {
      if (error.status === 404) return forget(t("lostSession"));
      await new Promise((done) => setTimeout(done, Math.min(8000, 500 * 2 ** tries) * (0.5 + Math.random() / 2)));
      if (mine !== talk) return;
    }
  }
  view("chat");
  write.open();
  draw();
  toBottom();
  requestAnimationFrame(() => log.classList.remove("still"));
  if (matchMedia("(hover: hover)").matches) write.focus();
}

function lost(reason) {
  if (reason === "not_found") forget(t("lostSession"));
}

function forget(why) {
  const known = recall() ?? {};
  talk?.close();
  talk = null;
  keep({ name: known.name, email: known.email });
  showStart(known);
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
  const now = talk.now;
  const atBottom = isAtBottom();
  document.body.dataset.status = now.status;
  drawHead(now);
  drawLine(now);
  drawConnection();
  reconcile(log, items(talk.thread.rows, talk.pending, talk.marks, { again: (id) => talk.again(id), drop: (id) => talk.drop(id), fileAddress: (file) => talk.fileAddress(file) }));
  count(atBottom);
  drawTyping(now);
  byId("offers").hidden = !offersPerson(now);
  byId("ending").hidden = now.status !== "ended";
  byId("end").hidden = byId("end-rule").hidden = now.status === "ended";
  if (now.status === "ended") rating.draw(talk.rating);
  for (const [id, format] of [["transcript-txt", "txt"], ["transcript-json", "json"], ["ending-transcript", "txt"]]) byId(id).href = talk.transcript(format);
  for (const id of ["transcript-txt", "transcript-json", "ending-transcript"]) byId(id).setAttribute("download", "");
  if (atBottom) toBottom();
  sawIt();
}

function drawHead(now) {
  const agent = now?.agent;
  const title = agent && now.status === "active" ? agent.name : desk?.name || t("chatTitle");
  if (byId("who").textContent !== title) byId("who").textContent = title;
  const lines = { waiting: "waitingTitle", active: "withAgent", ended: "endedTitle" };
  byId("who-line").textContent = now && talk ? (now.status === "active" ? desk?.name ?? "" : t(lines[now.status])) : "";
  const face = byId("face");
  const wanted = now?.status === "active" && agent ? agent.name : "";
  if (face.dataset.name !== wanted) {
    face.dataset.name = wanted;
    face.replaceChildren(wanted ? avatar(wanted) : make("img", { src: "/static/favicon.svg", alt: "", width: 36, height: 36 }));
  }
  document.title = missed && document.hidden ? t("unreadTitle", { n: missed, title }) : title;
}

function drawLine(now) {
  const waits = now.status === "waiting";
  const { position, waiting, eta } = talk.place;
  const away = waits && talk.agentsOnline === 0;
  const asks = away && !talk.hasWritten;
  byId("line-card").hidden = !waits || away;
  byId("away-card").hidden = !away;
  byId("composer").hidden = now.status === "ended" || asks;
  if (!waits) return;
  const number = byId("place-number");
  number.textContent = position ?? "–";
  number.toggleAttribute("data-long", String(position ?? "").length > 2);
  byId("place-title").textContent = position === null ? t("inLine") : position === 1 ? t("next") : t(waiting > position ? "placeOf" : "place", { n: position, of: waiting });
  put(byId("place-line"), hope(position, eta));
  byId("away-ask").hidden = !asks;
  byId("away-kept").hidden = asks;
  byId("away-kept-text").textContent = t("awayKeptText", { n: position ?? 1 });
}

function hope(position, eta) {
  if (eta !== null && eta > 0) return t("expect", { span: span(eta < 60 ? Math.ceil(eta / 10) * 10 : eta) });
  return t(position === 1 ? "almost" : "expectUnknown");
}

function drawTyping(now) {
  const box = byId("typing");
  const text = talk.typing && now.status !== "ended" ? (talk.typing.name ? t("typing", { name: talk.typing.name }) : t("typingSomeone")) : "";
  if (box.dataset.text === text) return;
  box.dataset.text = text;
  box.replaceChildren(...(text ? [make("i", { "aria-hidden": "true" }, make("b"), make("b"), make("b")), make("span", { text })] : []));
}

const offersPerson = (now) => now.status === "waiting" && talk.thread.rows.some((row) => row.sender_type === "bot") && !talk.thread.rows.some((row) => row.body === WANTS_PERSON) && !talk.pending.some((letter) => letter.body === WANTS_PERSON);

/** Trouble is shown only when it lasts: a socket that is back at once is no news. */
function drawConnection() {
  clearTimeout(connectionTimer);
  const { state, retryAt, troubleSince } = talk.connection;
  const young = BEHIND_MS - (Date.now() - troubleSince);
  const shown = state === "reconnecting" && young > 0 ? "live" : state;
  if (state !== shown) connectionTimer = setTimeout(drawConnection, young);
  byId("live").dataset.state = shown;
  put(byId("live-text"), t({ polling: "pollingShort", closed: "refused" }[shown] ?? shown));
  const left = Math.ceil(((retryAt ?? 0) - Date.now()) / 1000);
  const lines = { polling: () => t("polling"), closed: () => t("refused"), reconnecting: () => (left > 0 ? t("reconnectingIn", { span: span(left) }) : t("reconnectingNow")) };
  const over = talk.now.status === "ended";
  byId("banner").hidden = !(shown in lines) || over;
  byId("banner").className = shown === "polling" ? "notice" : "notice warn";
  byId("try-now").hidden = shown !== "reconnecting";
  if (shown in lines) put(byId("banner-text"), lines[shown]());
  if (shown === "reconnecting" && left > 0) connectionTimer = setTimeout(drawConnection, 1000);
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/* --- what was seen */

const isAtBottom = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_PX;

function toBottom() {
  scroll.scrollTop = scroll.scrollHeight;
  unseen = 0;
  drawNewest();
}

function count(wasAtBottom) {
  const rows = talk.thread.rows;
  const fresh = lastDrawn ? rows.filter((row) => row.seq > lastDrawn && row.sender_type !== "customer").length : 0;
  lastDrawn = talk.thread.last;
  if (document.hidden) missed += fresh;
  if (!wasAtBottom) unseen += fresh;
  drawNewest();
}

function drawNewest() {
  byId("newest").hidden = isAtBottom();
  byId("newest-text").textContent = unseen ? t("newBelow", { n: unseen }) : "";
}

function sawIt() {
  if (document.hidden || !talk || !isAtBottom()) return;
  missed = 0;
  talk.seen();
}

scroll.addEventListener("scroll", () => {
  if (isAtBottom()) unseen = 0;
  drawNewest();
  sawIt();
}, { passive: true });
log.addEventListener("grown", () => isAtBottom() || unseen === 0 ? toBottom() : null);
new ResizeObserver(() => !unseen && talk && toBottom()).observe(scroll);
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !talk) return;
  missed = 0;
  soon();
});
byId("newest").addEventListener("click", () => (toBottom(), write.focus()));

/* --- what the customer asks for */

byId("person").addEventListener("click", () => (talk.say(WANTS_PERSON), write.focus()));
byId("try-now").addEventListener("click", () => talk.link.retryNow());
byId("new-chat").addEventListener("click", () => forget(""));
byId("away-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("away-text").value.trim();
  if (!text) return byId("away-text").focus();
  talk.say(text);
  byId("away-text").value = "";
  draw();
  toBottom();
});
byId("end").addEventListener("click", () => {
  closeMenu();
  byId("end-text").textContent = t(talk.now.status === "waiting" ? "endWaiting" : "endText");
  byId("end-dialog").returnValue = "";
  byId("end-dialog").showModal();
});
byId("end-dialog").addEventListener("close", async ({ target }) => {
  if (target.returnValue !== "yes") return;
  await talk.end().catch((error) => error.code !== "session_ended" && toast(t("endFailed"), "bad"));
  soon();
});

/* --- the menu */

const menu = byId("menu");
const menuButton = byId("menu-button");
const entries = () => [...menu.querySelectorAll("[role=menuitem]")].filter((entry) => !entry.hidden);

function closeMenu(toButton = false) {
  menu.hidden = true;
  menuButton.setAttribute("aria-expanded", "false");
  if (toButton) menuButton.focus();
}

menuButton.addEventListener("click", () => {
  if (!menu.hidden) return closeMenu(true);
  menu.hidden = false;
  menuButton.setAttribute("aria-expanded", "true");
  entries()[0].focus();
});
menu.addEventListener("keydown", (event) => {
  const all = entries();
  const at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    all[to % all.length].focus();
  }
  if (event.key === "Escape" || event.key === "Tab") closeMenu(event.key === "Escape");
});
menu.addEventListener("click", () => closeMenu());
document.addEventListener("pointerdown", ({ target }) => !byId("more").contains(target) && closeMenu());

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

addEventListener("storage", (event) => {
  if (event.key !== KEPT) return;
  const kept = recall();
  const open = talk && talk.now.status !== "ended";
  if (kept?.session_key && kept.session_key !== talk?.key && !open) resume(kept);
});

onLanguage(() => {
  drawHead(talk?.loaded ? talk.now : undefined);
  draw();
});
arrive();
