// Supervisors edit the canned replies of the whole team. Before it the buttons of the page, after it REST. The list is
// replaced as a whole: where somebody else changed it meanwhile, the person is asked. Changes are dropped on purpose only.

import { Refused, ask } from "./api.js";
import { answerOf } from "./deeds.js";
import { explain, inWords } from "./notices.js";
import { byId, icon, make, setAttr, setText, toast } from "../core/dom.js";
import { onLanguage, t } from "../words/words.js";

// The limits of PUT canned.
const SHORTCUT_MOST = 32;
const TEXT_MOST = 4000;
const REPLIES_MOST = 500;
const BYTES_MOST = 256 * 1024;
const FIND_FROM = 8; // replies
const TOUCH = matchMedia("(pointer: coarse)");
const REFUSALS = { forbidden: "cannedForbidden", payload_too_large: "cannedTooMuch" };

const lengthOf = (text) => [...text].length; // as the server counts
const sameReplies = (one, other) => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
const sorted = (replies) => replies.map(({ shortcut, body }) => [shortcut, body]).sort(([a], [b]) => (a < b ? -1 : 1));

let numbers = 0;

/** One reply as two fields, which may be marked as removed. */
class Row {
  constructor({ shortcut, body }, removed) {
    this.id = `reply-${(numbers += 1)}`;
    this.isNew = !shortcut && !body;
    this.gone = false;
    this.shortcut = make("input", { id: `${this.id}-shortcut`, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
    this.text = make("textarea", { id: `${this.id}-text`, rows: "2", dir: "auto" });
    this.away = make("button", { type: "button", class: "icon quiet reply-away" }, icon("bin"));
    this.back = make("button", { type: "button", class: "small", text: t("undo") });
    this.goneText = make("span");
    this.node = this.make();
    this.shortcut.value = shortcut;
    this.text.value = body;
    this.began = this.values();
    this.away.addEventListener("click", () => removed(this));
    this.shortcut.addEventListener("change", () => this.words());
    this.back.addEventListener("click", () => { this.remove(false); this.shortcut.focus(); });
    this.words();
  }

  make() {
    const cell = (field, name, ...around) => make("div", { class: `reply-cell ${name}` },
      make("label", { class: "reply-label", for: field.id, "data-label": name }), ...around, make("p", { class: "wrong", id: `${field.id}-wrong`, hidden: "" }));
    this.fields = make("div", { class: "reply-fields" },
      cell(this.shortcut, "shortcut", make("div", { class: "slashed" }, make("span", { text: "/", "aria-hidden": "true" }), this.shortcut)),
      cell(this.text, "replyText", this.text), this.away);
    this.gonePart = make("div", { class: "reply-gone", hidden: "" }, icon("bin"), this.goneText, this.back);
    this.group = make("div", { role: "group" }, this.fields, this.gonePart); // the item of the list stays one
    return make("li", { class: "reply" }, this.group);
  }

  values() {
    return { shortcut: this.shortcut.value.trim().replace(/^\//, ""), body: this.text.value.trim() };
  }

  isBlank() {
    const { shortcut, body } = this.values();
    return this.isNew && !shortcut && !body;
  }

  holds(wanted) {
    const { shortcut, body } = this.values();
    return this.isBlank() || `/${shortcut} ${body}`.toLowerCase().includes(wanted);
  }

  isChanged() {
    const { shortcut, body } = this.values();
    return this.gone ? !this.isNew : shortcut !== this.began.shortcut || body !== this.began.body;
  }

  remove(gone) {
    this.gone = gone;
    this.fields.hidden = gone;
    this.gonePart.hidden = !gone;
    this.words();
    if (gone) this.back.focus();
  }

  words() {
    const { shortcut } = this.values();
    for (const label of this.node.querySelectorAll("[data-label]")) setText(label, t(label.dataset.label));
    setAttr(this.shortcut, "placeholder", t("hintShortcut"));
    setAttr(this.text, "placeholder", t("hintText"));
    setAttr(this.group, "aria-label", shortcut ? t("replyOf", { shortcut }) : t("newReply"));
    setAttr(this.away, "aria-label", shortcut ? t("removeReply", { shortcut }) : t("removeNew"));
    setAttr(this.away, "title", this.away.getAttribute("aria-label"));
    setText(this.back, t("undo"));
    setAttr(this.back, "aria-label", t("keepReply", { shortcut }));
    setText(this.goneText, t("goneReply", { shortcut }));
  }

  /** What is wrong with each field, in words; empty where it is right. `earlier`: the shortcuts of the rows before. */
  wrongs(earlier) {
    if (this.gone || this.isBlank()) return { shortcut: "", text: "" };
    const { shortcut, body } = this.values();
    return { shortcut: wrongShortcut(shortcut, earlier), text: wrongText(body) };
  }

  /** `onlyMarked`: while somebody types, marks go or change, and none comes. */
  mark(wrongs, onlyMarked) {
    for (const name of ["shortcut", "text"])
      if (!onlyMarked || this[name].ariaInvalid === "true") markField(this[name], wrongs[name]);
  }
}

function wrongShortcut(shortcut, earlier) {
  if (!shortcut) return t("w_noShortcut");
  if (/[\s/]/.test(shortcut)) return t("w_badShortcut");
  if (lengthOf(shortcut) > SHORTCUT_MOST) return t("w_longShortcut", { most: SHORTCUT_MOST, n: lengthOf(shortcut) });
  return earlier.has(shortcut.toLowerCase()) ? t("w_twice", { shortcut }) : "";
}

function wrongText(body) {
  if (!body) return t("w_noText");
  return lengthOf(body) > TEXT_MOST ? t("w_longText", { most: TEXT_MOST, n: lengthOf(body) }) : "";
}

function markField(field, wrong) {
  const told = byId(`${field.id}-wrong`);
  told.hidden = !wrong;
  setText(told, wrong);
  setAttr(field, "aria-invalid", wrong ? true : null);
  setAttr(field, "aria-describedby", wrong ? told.id : null);
}

export class CannedEditor {
  /** `saved(replies)`: told of the list as the server has it now. */
  constructor(saved) {
    Object.assign(this, { saved, dialog: byId("canned-dialog"), rows: [], base: [], theirs: null, opener: null, saving: false, toldWrong: false });
    this.wire();
  }

  wire() {
    byId("canned-form").addEventListener("submit", (event) => { event.preventDefault(); this.save(); });
    for (const id of ["canned-close", "canned-cancel"]) byId(id).addEventListener("click", () => this.leave());
    byId("canned-add").addEventListener("click", () => this.add());
    byId("canned-theirs").addEventListener("click", () => { this.fill(this.theirs); this.focusFirst(); });
    byId("canned-mine").addEventListener("click", () => { this.base = this.theirs; this.save(); });
    byId("canned-find").addEventListener("input", () => this.find(byId("canned-find").value));
    byId("replies").addEventListener("input", () => this.mark(true));
    byId("replies").addEventListener("keydown", (event) => this.key(event));
    byId("canned-find").addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
    this.dialog.addEventListener("keydown", (event) => this.escape(event));
    this.dialog.addEventListener("cancel", (event) => { event.preventDefault(); this.leave(); });
    addEventListener("beforeunload", (event) => { if (this.isChanged()) event.preventDefault(); });
    onLanguage(() => this.words());
  }

  // ---- open and close

  /** `opener` has the focus afterwards. */
  async open(opener) {
    this.opener = opener;
    try {
      const kept = this.isChanged();
      if (!kept) this.fill((await ask("GET", "canned")).canned);
      if (!this.dialog.open) this.dialog.showModal();
      if (kept) this.notice(t("cannedKept"));
      this.focusFirst();
    } catch (error) {
      explain(error);
    }
  }

  /** After a new sign-in: the old one ended while somebody was editing. */
  resume() {
    if (this.isChanged()) this.open(this.opener);
  }

  escape(event) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    if (event.target === byId("canned-find") && event.target.value) this.find("");
    else this.leave();
  }

  async leave() {
    if (this.saving || byId("canned-leave").open) return;
    if (this.isChanged() && (await answerOf(byId("canned-leave"))) !== "discard") return;
    this.close();
  }

  close() {
    this.fill([]);
    this.dialog.close();
    this.opener?.focus();
  }

  isChanged() {
    return this.rows.some((row) => row.isChanged());
  }

  // ---- the rows

  fill(replies) {
    this.base = replies;
    this.rows = [];
    byId("replies").replaceChildren();
    for (const reply of replies) this.put(reply);
    byId("canned-find-box").hidden = replies.length <= FIND_FROM;
    this.notice("");
    this.find("");
  }

  put(reply) {
    const row = new Row(reply, (gone) => this.remove(gone));
    this.rows.push(row);
    byId("replies").append(row.node);
    return row;
  }

  add() {
    const blank = this.rows.find((row) => row.isBlank());
    if (!blank && this.kept().length >= REPLIES_MOST) return this.notice(t("cannedTooMany", { most: REPLIES_MOST }), "bad");
    const row = blank ?? this.put({ shortcut: "", body: "" });
    this.find("");
    row.node.scrollIntoView({ block: "nearest" });
    row.shortcut.focus();
  }

  /** A reply that was there can be taken back until the list is saved; a new one just goes. */
  remove(row) {
    if (!row.isNew) row.remove(true);
    else this.drop(row);
    this.mark(true);
  }

  drop(row) {
    const at = this.rows.indexOf(row);
    this.rows.splice(at, 1);
    row.node.remove();
    this.find("");
    const near = this.rows[at] ?? this.rows[at - 1];
    (near ? (near.gone ? near.back : near.shortcut) : byId("canned-add")).focus();
  }

  /** Shows the replies that hold this, all for an empty text. */
  find(wanted) {
    if (byId("canned-find").value !== wanted) byId("canned-find").value = wanted;
    for (const row of this.rows) row.node.hidden = !row.holds(wanted.trim().toLowerCase());
    const shown = this.rows.some((row) => !row.node.hidden);
    byId("no-replies").hidden = this.rows.length > 0;
    byId("no-match").hidden = shown || !this.rows.length;
    byId("reply-heads").hidden = byId("replies").hidden = !shown;
  }

  words() {
    for (const row of this.rows) row.words();
    this.mark(true);
  }

  kept() {
    return this.rows.filter((row) => !row.gone && !row.isBlank());
  }

  /** Not into a field where that would bring up a keyboard. */
  focusFirst() {
    const first = this.rows[0];
    if (TOUCH.matches) byId("canned-close").focus();
    else (first ? first.shortcut : byId("canned-add")).focus();
    byId("replies").scrollTop = 0;
  }

  /** Enter in a shortcut goes on to its text, and does not save. */
  key(event) {
    if (event.key !== "Enter") return;
    const row = this.rows.find(({ shortcut }) => shortcut === event.target);
    if (!row) return;
    event.preventDefault();
    row.text.focus();
  }

  mark(onlyMarked) {
    const earlier = new Set();
    for (const row of this.rows) {
      row.mark(row.wrongs(earlier), onlyMarked);
      if (!row.gone) earlier.add(row.values().shortcut.toLowerCase());
    }
    if (this.toldWrong && !this.wrongFields().length) this.notice("");
  }

  wrongFields() {
    return [...byId("replies").querySelectorAll("[aria-invalid=true]")];
  }

  // ---- saving

  async save() {
    if (this.saving) return;
    if (!this.isChanged()) return this.close();
    const replies = this.kept().map((row) => row.values());
    if (!this.isRight(replies)) return;
    this.busy(true);
    try {
      await this.replace(replies);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refused(error);
    } finally {
      this.busy(false);
    }
  }

  async replace(replies) {
    const { canned: now } = await ask("GET", "canned");
    if (!sameReplies(now, this.base) && !sameReplies(now, replies)) return this.warn(now);
    const { canned } = await ask("PUT", "canned", { canned: replies });
    this.saved(canned);
    this.close();
    toast(t("cannedSaved"));
  }

  isRight(replies) {
    this.mark(false);
    const wrong = this.wrongFields();
    if (wrong.length) {
      this.find("");
      this.notice(t("w_fields", { n: wrong.length }), "bad");
      this.toldWrong = true;
      wrong[0].focus();
      wrong[0].closest("li").scrollIntoView({ block: "nearest" });
      return false;
    }
    const tooMuch = new TextEncoder().encode(JSON.stringify({ canned: replies })).length > BYTES_MOST;
    if (tooMuch) this.notice(t("cannedTooMuch"), "bad");
    return !tooMuch;
  }

  warn(now) {
    this.theirs = now;
    this.notice(t("cannedChanged"), "warn", true);
    byId("canned-theirs").focus();
  }

  refused(error) {
    if (error.code === "unauthorized") return; // the sign-in comes up, and the changes stay
    this.notice(REFUSALS[error.code] ? t(REFUSALS[error.code]) : inWords(error), "bad");
  }

  notice(text, tone = "", choices = false) {
    this.toldWrong = false;
    byId("canned-notice").className = `notice ${tone}`;
    byId("canned-notice").hidden = !text;
    byId("canned-choices").hidden = !choices;
    setText(byId("canned-notice-text"), text);
  }

  busy(on) {
    this.saving = on;
    byId("replies").inert = on;
    setAttr(byId("canned-save"), "aria-disabled", on ? true : null);
    setText(byId("canned-save"), t(on ? "saving" : "save"));
  }
}
