// The messages of a conversation: rows, private notes and what is not sent yet, in one order, with the days between them.
// Before it the desk's state and the outbox, after it nothing. Whatever somebody wrote is text here, never HTML.

import { fetchBlob } from "./api.js";
import { paintAvatar, paintBot } from "./face.js";
import { unsentWhy } from "./notices.js";
import { icon, keyed, linked, make, part, roomOf, setAttr, setClass, setText } from "../core/dom.js";
import { save } from "../core/saving.js";
import { WANTS_PERSON } from "../core/thread.js";
import { bytes, clock, currentLanguage, dateTime, day, t } from "../words/words.js";

const TOGETHER_MS = 5 * 60_000; // messages of one sender within it look like one turn
const looks = new WeakMap(); // row → what it showed last

const whenSeen = new WeakMap(); // a picture → what loads its preview
const sight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    sight.unobserve(target);
    whenSeen.get(target)();
  }
});

/** `facts`: {session, me, room, pending, retry(clientId), discard(clientId), enlarge(file), refused(error, name)}.
    A row's key names its conversation: a node is never used again for a row of another one. */
export function showLog(list, facts) {
  const items = inOrder(facts);
  keyed(list, items, (item) => keyOf(facts.session, item.key), (item) => MAKE[item.kind](item, facts), (node, item) => UPDATE[item.kind]?.(node, item, facts));
}

const keyOf = ({ session_id: id }, key) => `${id} ${key}`;

/** The node of a message in the list that `showLog` has made. */
export const nodeOf = (list, session, seq) => [...list.children].find((node) => node.dataset.key === keyOf(session, `m${seq}`));

/** What the customer's button sends is meant for the server: to people it is a happening. */
const asksForPerson = ({ sender_type: sender, body }) => sender === "customer" && body === WANTS_PERSON;

const isHappening = (message) => message.sender_type === "system" || asksForPerson(message);

/** A message in a few words. */
export const saidIn = (message) => (asksForPerson(message) ? t("s_wants_person") : message.body || message.attachments?.[0]?.name || "");

function inOrder({ room, pending = [], me }) {
  const rows = room.messages.map((message) => ({ kind: isHappening(message) ? "happening" : "message", key: `m${message.seq}`, at: message.created_at, message }));
  const notes = room.notes.map((note) => ({ kind: "note", key: `n${note.id}`, at: note.created_at, note }));
  const sent = notes.length ? [...rows, ...notes].sort((a, b) => a.at.localeCompare(b.at) || (a.message?.seq ?? 0) - (b.message?.seq ?? 0)) : rows;
  const unsent = pending.map((letter) => ({ kind: "letter", key: `p${letter.client_id}`, at: letter.at, letter, message: { sender_type: "agent", sender_id: me.agent_id } }));
  return withDays(grouped([...sent, ...unsent]));
}

function grouped(items) {
  const who = (item) => (item?.kind === "message" || item?.kind === "letter" ? `${item.message.sender_type}:${item.message.sender_id ?? ""}` : null);
  const together = (a, b) => who(a) !== null && who(a) === who(b) && Math.abs(Date.parse(b.at) - Date.parse(a.at)) < TOGETHER_MS;
  items.forEach((item, n) => { item.first = !together(items[n - 1], item); item.last = !items[n + 1] || !together(item, items[n + 1]); });
  return items;
}

function withDays(items) {
  const all = [];
  let before = "";
  for (const item of items) {
    const date = new Date(item.at).toDateString();
    if (date !== before) all.push({ kind: "day", key: `d${date}`, at: item.at });
    before = date;
    all.push(item);
  }
  return all;
}

const MAKE = {
  day: () => make("li", { class: "day" }, make("span", { "data-part": "text" })),
  happening: () => make("li", { class: "happening" }, make("span", { "data-part": "text" }), make("time", { "data-part": "time" })),
  note: ({ note }) => make("li", { class: "note" }, make("div", { class: "note-box" }, make("p", { class: "note-by" }, icon("lock"), make("span", { "data-part": "by" })),
    make("p", { class: "body", dir: "auto" }, linked(note.body)), make("time", { text: clock(note.created_at), title: dateTime(note.created_at) }))),
  message: (item, facts) => makeMessage(item, facts),
  letter: (item, facts) => makeLetter(item, facts),
};

const UPDATE = {
  day: (node, { at }) => setText(part(node, "text"), day(at)),
  happening: (node, { message }, { me }) => {
    if (looks.get(node) === currentLanguage()) return;
    looks.set(node, currentLanguage());
    setText(part(node, "text"), happening(message, me));
    setText(part(node, "time"), clock(message.created_at));
  },
  note: (node, { note }) => setText(part(node, "by"), t("noteIn", { name: note.agent_name })),
  message: updateMessage,
  letter: updateLetter,
};

/** A system row in the reader's language; one that this page does not know, as the server wrote it. */
export function happening(message, me) {
  const { event, body } = message;
  if (!event) return asksForPerson(message) ? t("s_wants_person") : body;
  const name = event.name ?? event.agent_name ?? "";
  const from = event.from_name ?? event.from?.name ?? "";
  switch (event.type) {
    case "started": return t("s_started");
    case "assigned": return event.agent_id === me.agent_id ? t("s_assignedYou") : t("s_assigned", { name });
    case "transferred": return from ? t("s_transferred", { from, name }) : t("s_transferredTo", { name });
    case "released": return name || from ? t("s_releasedFrom", { name: name || from }) : t("s_released");
    case "left": return t("s_left");
    case "returned": return t("s_returned");
    case "ended": return endedBy(event, name);
    default: return body;
  }
}

function endedBy({ by = "" }, name) {
  if (by === "customer") return t("s_ended_customer");
  if (by === "system") return t("s_ended_system");
  return by.startsWith("agent") && name ? t("s_ended_agent", { name }) : t("s_ended");
}

function makeMessage({ message }, facts) {
  const bubble = make("div", { class: isPictureOnly(message) ? "bubble of-picture" : "bubble" });
  if (message.body) bubble.append(make("p", { class: "body", dir: "auto" }, linked(message.body)));
  for (const file of message.attachments ?? []) bubble.append(attachment(file, facts));
  return make("li", { class: "msg" }, make("span", { "data-part": "avatar", "aria-hidden": "true" }),
    make("div", { class: "turn" }, make("p", { class: "by" }, make("span", { "data-part": "by", dir: "auto" }), message.sender_type === "bot" && make("span", { class: "chip bot-chip", "data-part": "bot" })), bubble,
      make("p", { class: "meta" }, make("time", { "data-part": "time", title: dateTime(message.created_at) }), make("span", { class: "mark-box", "data-part": "mark" }))));
}

const isPictureOnly = ({ body, attachments }) => !body && attachments?.length > 0 && attachments.every((file) => file.preview);

function updateMessage(node, { message, first, last }, { session, me }) {
  const mark = message.sender_type === "agent" ? markOf(message, session) : "";
  const look = [first, last, mark, currentLanguage()].join();
  if (looks.get(node) === look) return; // of thousands of rows few change
  looks.set(node, look);
  const { sender_type: type, sender_id: id, sender_name: name } = message;
  const side = type === "customer" ? "theirs" : type === "bot" ? "bot" : id === me.agent_id ? "mine" : "colleague";
  setClass(node, `msg ${side}${first ? " first" : ""}${last ? " last" : ""}${node.classList.contains("flash") ? " flash" : ""}`);
  if (side === "bot") paintBot(part(node, "avatar"), "small");
  else paintAvatar(part(node, "avatar"), name || session.customer.name, "small");
  const by = { theirs: name || session.customer.name, bot: t("bot"), mine: t("you"), colleague: name }[side];
  setText(part(node, "by"), by);
  if (side === "bot") setText(part(node, "bot"), t("botMark"));
  setText(part(node, "time"), clock(message.created_at));
  showMark(part(node, "mark"), mark);
}

function markOf({ seq }, { customer_read: readTo, customer_got: gotTo }) {
  if (seq <= readTo) return "read";
  return seq <= gotTo ? "delivered" : "sent";
}

function showMark(node, mark) {
  if (node.dataset.mark === mark) return;
  node.dataset.mark = mark;
  node.replaceChildren(...(mark ? [make("span", { class: "unseen", text: t(mark) }), ...(mark === "sent" ? [icon("check")] : [icon("checks")])] : []));
  setAttr(node, "title", mark ? t(mark) : null);
}

function makeLetter({ letter }, facts) {
  const again = make("button", { type: "button", class: "quiet small", text: t("tryAgain") });
  const away = make("button", { type: "button", class: "quiet small", text: t("discard") });
  again.addEventListener("click", () => facts.retry(letter.client_id));
  away.addEventListener("click", () => facts.discard(letter.client_id));
  return make("li", { class: "msg mine" }, make("span", { "data-part": "avatar", "aria-hidden": "true" }),
    make("div", { class: "turn" }, make("p", { class: "by", text: t("you") }), make("div", { class: "bubble" }, make("p", { class: "body", dir: "auto" }, linked(letter.body))),
      make("p", { class: "meta" }, make("span", { "data-part": "state" }), make("span", { class: "again", "data-part": "again" }, again, away))));
}

function updateLetter(node, { letter, first, last }, { me }) {
  setClass(node, `msg mine pending${letter.failed ? " failed" : ""}${first ? " first" : ""}${last ? " last" : ""}`);
  paintAvatar(part(node, "avatar"), me.name, "small");
  setText(part(node, "state"), letter.failed ? t("notSent", { why: unsentWhy(letter.failed) }) : `${t("sending")}…`);
  part(node, "again").hidden = !letter.failed;
}

// ---- attachments

const attachment = (file, facts) => (file.preview ? pictureOf(file, facts) : fileOf(file, facts));

/** Its preview; the picture itself is fetched for whoever asks for it. */
function pictureOf(file, facts) {
  const image = make("img", { alt: file.name, ...roomOf(file.preview) });
  const button = make("button", { type: "button", class: "picture", "aria-label": `${t("picture")}: ${file.name}` }, image);
  button.addEventListener("click", () => facts.enlarge(file));
  whenSeen.set(button, () => shownIn(image, file.preview.url).catch((error) => {
    button.parentElement?.classList.remove("of-picture");
    button.replaceWith(fileOf(file, facts));
    console.info("no preview", error.code ?? error.name);
  }));
  sight.observe(button);
  return button;
}

/** Shows what is at an address of ours, which wants the token. Once an image has it, no memory is kept for its address. */
export async function shownIn(image, url) {
  const address = URL.createObjectURL(await fetchBlob(url));
  image.src = address;
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(address);
  }
}

function fileOf(file, facts) {
  const button = make("button", { type: "button", class: "file", "aria-label": `${t("download")}: ${file.name}` }, icon("file"),
    make("span", { class: "file-text" }, make("span", { class: "file-name", text: file.name, dir: "auto" }), make("small", { text: bytes(file.size) })), icon("download"));
  button.addEventListener("click", () => fetched(file, facts.refused));
  return button;
}

/** Saves a file. */
export async function fetched(file, refused) {
  try {
    save(await fetchBlob(file.url), file.name);
  } catch (error) {
    refused(error, file.name);
  }
}
