/* Rows of a conversation → nodes, as the customer sees them. Text only ever becomes text.
 *
 *   drawThread(log, { rows, pending, marks }, { again(id), drop(id), files })   // files: FileTickets
 *
 * A message's node is put in once, with its text, and changed in place from then on. What is said aloud of it is one
 * sentence (`sentence`, spoken.js); of one's own only what could not be sent.
 */

import { avatar, icon, keyed, linked, make, roomOf, setClass, setText } from "../core/dom.js";
import { mark, WANTS_PERSON } from "../core/thread.js";
import { bytes, clock, currentLanguage, dateTime, day, t, wordOr } from "../words/tongue.js";

const TOGETHER_MS = 5 * 60_000; // messages of one sender within this stand together
const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}|(?![\d#*])\p{Emoji_Component}|\s){1,12}$/u;
const HAS_EMOJI = /\p{Extended_Pictographic}/u;
const HOPELESS = new Set(["too_large", "payload_too_large", "unsupported_media_type", "empty_file", "too_many_files", "not_as_named", "invalid_payload", "session_ended", "forbidden", "not_found"]);

/** `marks`: {got, read}; `pending`: letters and uploads that are not stored yet. */
export function drawThread(log, { rows, pending, marks }, on) {
  keyed(log, items(rows, pending, marks), ({ key }) => key, (item) => KINDS[item.kind].make(item, on), (node, item) => changed(node, item) && KINDS[item.kind].update(node, item, on));
}

/** What is shown of an item hangs on these words alone. */
function changed(node, { kind, first, last, how, text, row, letter }) {
  const sign = [kind, first, last, how, text, letter ? `${letter.failed}` : row?.seq, currentLanguage()].join();
  const is = node.dataset.sign !== sign;
  node.dataset.sign = sign;
  return is;
}

function items(rows, pending, marks) {
  const list = [];
  let lastDay = "";
  rows.forEach((row, index) => {
    const date = new Date(row.created_at).toDateString();
    if (date !== lastDay) list.push({ kind: "day", key: `day ${date}`, text: day(row.created_at) });
    const first = date !== lastDay || !together(rows[index - 1], row);
    const next = rows[index + 1];
    const last = next ? !together(row, next) : !(pending.length && isMine(row));
    lastDay = date;
    list.push(isSaid(row) ? said(row, first, last, marks) : { kind: "happening", key: String(row.seq), text: happening(row), row });
  });
  return [...list, ...pending.map((letter, index) => waiting(letter, index, pending, rows))];
}

const isSaid = (row) => Boolean(row) && !row.event && row.body !== WANTS_PERSON;
const isMine = (row) => isSaid(row) && row.sender_type === "customer";
const sender = (row) => (isMine(row) ? "customer" : `${row.sender_type} ${row.sender_id}`); // an ack names no id

function together(one, two) {
  return isSaid(one) && isSaid(two) && sender(one) === sender(two) && new Date(two.created_at) - new Date(one.created_at) < TOGETHER_MS;
}

function said(row, first, last, marks) {
  const mine = isMine(row);
  return { kind: mine ? "mine" : "theirs", key: mine && row.client_id ? row.client_id : String(row.seq), first, last, how: mine ? mark(row.seq, marks) : "", row };
}

/** A letter that is not stored yet, or an upload under way. */
function waiting(letter, index, pending, rows) {
  const first = index === 0 && !isMine(rows.at(-1));
  const last = index === pending.length - 1 || Boolean(letter.failed) || Boolean(pending[index + 1]?.failed) || Boolean(letter.file); // each file can be cancelled
  return { kind: "mine", key: letter.client_id, first, last, how: letter.failed ? "failed" : "waiting", letter };
}

function happening({ event, body }) {
  if (!event) return t("askedForPerson");
  const by = event.type === "ended" && event.by ? `_${event.by}` : "";
  return wordOr(`happened_${event.type}${by}`, null) === null ? body : t(`happened_${event.type}${by}`, { name: event.name ?? "" });
}

/** A row for somebody who listens; nothing for what they have written themselves. */
export function sentence(row) {
  if (row.event) return happening(row);
  if (row.sender_type === "customer") return "";
  const name = row.sender_type === "bot" ? t("botName") : row.sender_name;
  return [`${name}:`, row.body, ...(row.attachments ?? []).map((file) => file.name)].filter(Boolean).join(" ");
}

/* --- nodes: made once, changed in place */

const KINDS = {
  day: { make: () => make("div", { class: "day", role: "separator" }), update: (node, { text }) => setText(node, text) },
  happening: {
    make: ({ row }) => make("p", { class: "happening" }, make("span"), make("time", { datetime: row.created_at, text: clock(row.created_at) })),
    update: (node, { text }) => setText(node.firstChild, text),
  },
  theirs: {
    make: ({ row }, on) => make("article", {}, face(row), make("span", { class: "name" }, ...names(row)), content(row, on), make("div", { class: "foot" }, make("time", { datetime: row.created_at, text: clock(row.created_at) }))),
    update(node, { row, first, last }) {
      setClass(node, classes("message", row.sender_type === "bot" && "bot", first && "first", last && "last", isEmoji(row) && "emoji"));
      if (row.sender_type === "bot") names(row).forEach((part, index) => setText(node.children[1].children[index], part.textContent));
      node.querySelector("time").title = dateTime(row.created_at);
    },
  },
  mine: {
    make: (item, on) => make("article", {}, make("span", { class: "unseen", text: `${t("you")}: ` }), box(item, on), make("div", { class: "foot" })),
    update(node, item, on) {
      const { row, letter, first, last, how } = item;
      setClass(node, classes("message mine", first && "first", last && "last", isEmoji(row ?? letter) && "emoji", !row && how));
      setText(node.firstChild, `${t("you")}: `);
      if (node.children[1].dataset.holds !== holds(item)) node.children[1].replaceWith(box(item, on));
      foot(node.lastChild, item, on);
    },
  },
};

const classes = (...names) => names.filter(Boolean).join(" ");
const isEmoji = ({ body, attachments, file }) => !file && !attachments?.length && ONLY_EMOJI.test(body ?? "") && HAS_EMOJI.test(body);
const face = (row) => (row.sender_type === "bot" ? make("span", { class: "bot-face", "aria-hidden": "true" }, icon("bot")) : avatar(row.sender_name, "small"));
const names = (row) => (row.sender_type === "bot" ? [make("span", { text: t("botName") }), make("span", { class: "chip", text: t("automatic") })] : [make("bdi", { text: row.sender_name })]);

/** A text is the same before and after it is stored; a file's card becomes what was stored of it. */
const holds = ({ row, letter }) => (row ? (row.attachments?.length ? "files" : "text") : letter.file ? `upload ${letter.failed ?? ""}` : "text");

function box(item, on) {
  const { row, letter } = item;
  const made = row ? content(row, on) : make("div", { class: "content" }, letter.file ? uploadCard(letter) : bubble(letter.body === WANTS_PERSON ? t("talkToPerson") : letter.body));
  made.dataset.holds = holds(item);
  return made;
}

function foot(node, { row, letter, how }, on) {
  const tick = node.querySelector(".mark");
  if (row && tick) return showTick(tick, how);
  const isNews = letter?.failed && node.dataset.how !== "failed" && (node.dataset.how || letter.file); // not when it is drawn again
  node.setAttribute("aria-live", isNews ? "polite" : "off");
  node.dataset.how = how;
  if (row) node.replaceChildren(make("time", { datetime: row.created_at, title: dateTime(row.created_at), text: clock(row.created_at) }), showTick(make("span", { class: "mark", role: "img" }), how));
  else node.replaceChildren(...(letter.failed ? failedFoot(letter, on) : waitingFoot(letter, on)));
}

function waitingFoot(letter, on) {
  if (!letter.file) return [icon("clock", "tiny"), t("waitingToSend")];
  const cancel = make("button", { type: "button", text: t("cancelUpload"), "aria-label": t("cancelUploadOf", { name: letter.file.name }), onclick: () => on.drop(letter.client_id) });
  return [icon("clock", "tiny"), t("uploading"), cancel];
}

function showTick(node, how) {
  node.dataset.mark = how;
  node.title = t(`mark_${how}`);
  node.setAttribute("aria-label", t(`mark_${how}`));
  node.replaceChildren(icon(how === "sent" ? "check" : "checks"));
  return node;
}

function content(row, on) {
  const made = make("div", { class: "content" });
  for (const file of row.attachments ?? []) made.append(file.preview ? picture(file, on) : fileCard(file, on));
  if (row.body) made.append(bubble(row.body));
  return made;
}

function bubble(body) {
  const made = make("div", { class: "bubble", dir: "auto" });
  made.append(linked(body));
  return made;
}

/** Its preview; the picture itself only for whoever opens it. */
function picture(file, on) {
  const link = opens(file, on, { class: "picture", "aria-label": t("openPicture", { name: file.name }) });
  const img = make("img", { alt: file.name, loading: "lazy", decoding: "async", ...roomOf(file.preview) });
  const asCard = () => link.replaceWith(fileCard(file, on));
  const show = async () => {
    const url = await on.files.address(file, file.preview.url);
    if (img.src === url) asCard(); // again, and it can't be shown
    else img.src = url;
  };
  img.addEventListener("load", () => link.dispatchEvent(new CustomEvent("grown", { bubbles: true })), { once: true });
  img.addEventListener("error", () => show().catch(asCard)); // a lazy one may be wanted when its address is over
  show().catch(asCard);
  link.append(img);
  return link;
}

function fileCard(file, on) {
  const card = opens(file, on, { class: "file", download: file.name, "aria-label": t("downloadFile", { name: file.name }) });
  card.append(
    make("span", { class: "kind" }, icon("file")),
    make("span", {}, make("b", { dir: "auto", text: file.name }), make("small", { text: bytes(file.size) })),
    icon("download"),
  );
  return card;
}

/** A link to a file. Its address has an end: it is looked at when the link is used, and renewed first where it is over. */
function opens(file, on, attributes) {
  const link = make("a", { href: "#", target: "_blank", rel: "noopener", ...attributes });
  const fill = async () => (link.href = await on.files.address(file, file.url));
  const renew = () => fill().catch(() => {}); // asked again when it is clicked
  link.addEventListener("click", (event) => {
    const url = on.files.known(file, file.url);
    if (url) return void (link.href = url);
    event.preventDefault();
    fill().then(() => link.click(), () => {});
  });
  for (const type of ["pointerenter", "focus"]) link.addEventListener(type, renew); // before a menu offers to copy it
  renew();
  return link;
}

/** Where trying again can only fail again, it is not offered. */
function failedFoot(letter, on) {
  const why = wordOr(`failed_${letter.failed}`, null) === null ? t("failed_other") : t(`failed_${letter.failed}`);
  const again = HOPELESS.has(letter.failed) ? null : make("button", { type: "button", text: t("tryAgain"), onclick: () => on.again(letter.client_id) });
  return [make("span", { text: why }), again, make("button", { type: "button", text: t("remove"), onclick: () => on.drop(letter.client_id) })].filter(Boolean);
}

function uploadCard(letter) {
  const bar = letter.failed ? null : make("progress", { max: 1, value: letter.share ?? 0, "aria-label": t("uploading") });
  if (bar) letter.onShare = (share) => (bar.value = share);
  const plain = () => make("span", { class: "kind" }, icon("file"));
  const sight = letter.preview ? make("img", { src: letter.preview, alt: "", width: 36, height: 36, class: "kind" }) : plain();
  sight.addEventListener("error", () => sight.replaceWith(plain()), { once: true }); // a name that says picture is none
  return make("div", { class: "file" }, sight, make("span", {}, make("b", { dir: "auto", text: letter.file.name }), make("small", { text: bytes(letter.file.size) })), make("span"), bar);
}
