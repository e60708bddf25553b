/* Rows of a conversation → nodes, as the customer sees them. Text only ever becomes text. */

import { avatar, icon, linked, make } from "./dom.js";
import { mark } from "./thread.js";
import { bytes, clock, dateTime, day, t, wordOr } from "./words.js";

const TOGETHER_MS = 5 * 60_000; // messages of one sender within this stand together
const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}(?<![\d#*])|\s){1,12}$/u;
const HAS_EMOJI = /\p{Extended_Pictographic}/u;
export const WANTS_PERSON = "/person"; // what the button sends; the server's word (answers.py)

/**
 * The list for `reconcile`. `marks`: {got, read}; `pending`: letters and uploads not stored yet;
 * `on`: {again(id), drop(id), fileAddress(file)}.
 */
export function items(rows, pending, marks, on) {
  const list = [];
  let lastDay = "";
  rows.forEach((row, index) => {
    const date = new Date(row.created_at).toDateString();
    if (date !== lastDay) list.push(dayItem(row, date));
    const first = date !== lastDay || !together(rows[index - 1], row);
    const next = rows[index + 1];
    const last = next ? !together(row, next) : !(pending.length && isMine(row));
    lastDay = date;
    list.push(row.event || row.body === WANTS_PERSON ? happeningItem(row) : messageItem(row, first, last, marks, on));
  });
  pending.forEach((letter, index) => list.push(pendingItem(letter, index, pending, rows, on)));
  return list;
}

const isMine = (row) => row.sender_type === "customer" && !row.event && row.body !== WANTS_PERSON;

function together(one, two) {
  if (!one || one.event || two.event || one.body === WANTS_PERSON || two.body === WANTS_PERSON) return false;
  return one.sender_type === two.sender_type && one.sender_id === two.sender_id && new Date(two.created_at) - new Date(one.created_at) < TOGETHER_MS;
}

function dayItem(row, date) {
  const text = day(row.created_at);
  return { key: `day ${date}`, sign: text, make: () => make("div", { class: "day", role: "separator", text }) };
}

function happeningItem(row) {
  const text = row.event ? happening(row) : t("askedForPerson");
  const at = clock(row.created_at);
  return { key: String(row.seq), sign: text, make: () => make("p", { class: "happening" }, text, make("time", { datetime: row.created_at, text: at })) };
}

function happening({ event, body }) {
  const by = event.type === "ended" && event.by ? `_${event.by}` : "";
  return wordOr(`happened_${event.type}${by}`, null) === null ? body : t(`happened_${event.type}${by}`, { name: event.name ?? "" });
}

function messageItem(row, first, last, marks, on) {
  const mine = isMine(row);
  const how = mine ? mark(row.seq, marks) : "";
  const sign = [first, last, last && mine ? how : "", document.documentElement.lang].join();
  const kinds = ["message", mine && "mine", row.sender_type === "bot" && "bot", first && "first", last && "last", isEmoji(row.body) && !row.attachments?.length && "emoji"];
  return {
    key: row.client_id && mine ? row.client_id : String(row.seq),
    sign,
    make: () =>
      make(
        "article",
        { class: kinds.filter(Boolean).join(" ") },
        mine ? make("span", { class: "unseen", text: `${t("you")}: ` }) : face(row),
        mine ? null : name(row),
        content(row, on),
        make("div", { class: "foot" }, make("time", { datetime: row.created_at, title: dateTime(row.created_at), text: clock(row.created_at) }), mine ? ticks(how) : null),
      ),
  };
}

const isEmoji = (text) => ONLY_EMOJI.test(text) && HAS_EMOJI.test(text);
const face = (row) => (row.sender_type === "bot" ? make("span", { class: "bot-face", "aria-hidden": "true" }, icon("bot")) : avatar(row.sender_name, "small"));

function name(row) {
  const isBot = row.sender_type === "bot";
  return make("span", { class: "name" }, isBot ? t("botName") : row.sender_name, isBot ? make("span", { class: "chip", text: t("automatic") }) : null);
}

const ticks = (how) => make("span", { class: "mark", "data-mark": how, title: t(`mark_${how}`) }, icon(how === "sent" ? "check" : "checks"), make("span", { class: "unseen", text: t(`mark_${how}`) }));

function content(row, on) {
  const box = make("div", { class: "content" });
  for (const file of row.attachments ?? []) box.append(isPicture(file) ? picture(file, on) : fileCard(file, on));
  if (row.body) {
    const bubble = make("div", { class: "bubble" });
    bubble.append(linked(row.body));
    box.append(bubble);
  }
  return box;
}

const isPicture = ({ type }) => /^image\/(?:png|jpeg|gif|webp)$/.test(type);

function picture(file, on) {
  const address = on.fileAddress(file);
  const link = make("a", { class: "picture", href: address, target: "_blank", rel: "noopener", "aria-label": t("openPicture", { name: file.name }) });
  const img = make("img", { src: address, alt: file.name, loading: "lazy", decoding: "async" });
  img.addEventListener("load", () => link.dispatchEvent(new CustomEvent("grown", { bubbles: true })), { once: true });
  img.addEventListener("error", () => link.replaceWith(fileCard(file, on)), { once: true });
  link.append(img);
  return link;
}

function fileCard(file, on) {
  return make(
    "a",
    { class: "file", href: on.fileAddress(file), download: file.name, "aria-label": t("downloadFile", { name: file.name }) },
    make("span", { class: "kind" }, icon("file")),
    make("span", {}, make("b", { text: file.name }), make("small", { text: bytes(file.size) })),
    icon("download"),
  );
}

/** A letter that is not stored yet, or an upload under way. */
function pendingItem(letter, index, pending, rows, on) {
  const before = index ? true : isMine(rows[rows.length - 1] ?? { sender_type: "system" });
  const last = index === pending.length - 1 || Boolean(letter.failed) || Boolean(pending[index + 1]?.failed);
  const kinds = ["message", "mine", !before && "first", last && "last", letter.failed ? "failed" : "waiting"];
  const sign = [letter.failed, last, !before, document.documentElement.lang].join();
  return {
    key: letter.client_id,
    sign,
    make: () =>
      make(
        "article",
        { class: kinds.filter(Boolean).join(" ") },
        make("div", { class: "content" }, letter.file ? uploadCard(letter) : make("div", { class: "bubble", text: letter.body === WANTS_PERSON ? t("talkToPerson") : letter.body })),
        make("div", { class: "foot" }, ...(letter.failed ? failedFoot(letter, on) : [icon("clock", "tiny"), t(letter.file ? "uploading" : "waitingToSend")])),
      ),
  };
}

function failedFoot(letter, on) {
  const why = wordOr(`failed_${letter.failed}`, null) === null ? t("failed_other") : t(`failed_${letter.failed}`, letter.facts ?? {});
  return [
    make("span", { text: why }),
    make("button", { type: "button", text: t("tryAgain"), onclick: () => on.again(letter.client_id) }),
    make("button", { type: "button", text: t("remove"), onclick: () => on.drop(letter.client_id) }),
  ];
}

function uploadCard(letter) {
  const bar = letter.failed ? null : make("progress", { max: 1, value: letter.share ?? 0, "aria-label": t("uploading") });
  if (bar) letter.onShare = (share) => (bar.value = share);
  const sight = letter.preview ? make("img", { src: letter.preview, alt: "", width: 36, height: 36, class: "kind" }) : make("span", { class: "kind" }, icon("file"));
  return make("div", { class: "file" }, sight, make("span", {}, make("b", { text: letter.file.name }), make("small", { text: bytes(letter.file.size) })), make("span"), bar);
}
