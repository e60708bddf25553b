// What the agent writes: a reply or a private note, with canned replies, emoji and files. Before it the person, after it
// the outbox (replies), REST (notes), agent-uploads.js (files). Drafts are kept for each conversation and kind.

import { ask } from "./api.js";
import { inWords } from "./notices.js";
import { Uploads } from "./uploads.js";
import { ChosenFiles } from "../core/chosen-files.js";
import { byId, make, setAttr, setText } from "../core/dom.js";
import { EMOJIS } from "../core/emojis.js";
import { filesPasted } from "../core/pasting.js";
import { t } from "../words/words.js";

const TYPING_EVERY_MS = 2500;
const TYPING_ENDS_MS = 4000;
const CANNED_MOST = 8;
// Of the text, while it chooses from the canned replies; at other times it is a plain text.
const COMBOBOX = { role: "combobox", "aria-expanded": true, "aria-controls": "canned", "aria-autocomplete": "list", "aria-haspopup": "listbox" };

export class Composer {
  /** `deeds`: {canned(), me(), say(frame), noted(id, note), stored(message), refused(error, name), turned()} */
  constructor(outbox, drafts, deeds) {
    Object.assign(this, { outbox, drafts, deeds, session: null, kind: "reply", may: false, asked: false, saving: new Set(), filesOf: null, typedAt: 0, typingTimer: 0, found: [], chosen: 0 });
    this.text = byId("text");
    this.uploads = new Uploads({ ...deeds, passed: (id) => outbox.passed(id) });
    this.chosen = new ChosenFiles(byId("chosen"), { mostBytes: () => this.uploads.mostBytes, why: (code, file) => inWords(this.uploads.refusal(code), file.name), left: () => this.text.focus(), pictures: true });
    this.wire();
  }

  /** Shows the conversation's drafts; without one, nothing goes anywhere. `may`: whether replies may be written here. */
  show(session, may) {
    const moved = this.session?.session_id !== session?.session_id;
    if (moved) this.stopTyping();
    if (moved) this.closePickers();
    Object.assign(this, { session, may, asked: this.asked && !moved });
    if (!session) return this.showFiles("");
    const kind = this.kindNow(moved);
    if (moved || kind !== this.kind) this.choose(kind);
    this.words();
    if (moved) this.showFiles(session.session_id);
  }

  /** The largest that may be sent, as soon as it is known. */
  filesHave(mostBytes) {
    this.uploads.mostBytes = mostBytes;
    this.chosen.draw();
  }

  showFiles(id) {
    this.uploads.show(id);
    this.chosen.show(id);
  }

  /** Never another one while somebody writes: half a note would go to the customer, half a reply to the colleagues. */
  kindNow(moved) {
    const writes = !moved && (this.text.value || document.activeElement === this.text);
    if (writes || (this.may && this.asked)) return this.kind;
    return this.may ? "reply" : "note";
  }

  /** A reply that was begun and may not be sent any more. */
  isStuck() {
    return Boolean(this.session) && this.kind === "reply" && !this.may;
  }

  /** The same with something in it. */
  keepsReply() {
    return this.isStuck() && this.text.value.trim() !== "";
  }

  words() {
    if (!this.session) return;
    const note = this.kind === "note";
    const stuck = this.isStuck();
    byId("kind-reply").hidden = !this.may && !stuck;
    byId("send").disabled = stuck || this.isSaving();
    for (const id of ["attach", "emoji-button", "canned-button"]) byId(id).disabled = stuck;
    for (const id of ["attach", "emoji-button", "canned-button"]) byId(id).hidden = note && id !== "emoji-button";
    setAttr(this.text, "placeholder", note ? t("notePlaceholder") : t(innerWidth < 760 ? "replyToShort" : "replyTo", { name: this.session.customer.name.split(" ")[0] }));
    setAttr(this.text, "aria-label", t(note ? "privateNote" : "reply"));
    setText(byId("send-hint"), t(note ? "noteHint" : "sendHint"));
    setText(byId("send-text"), t(note ? "saveNote" : "send"));
  }

  choose(kind) {
    this.kind = kind;
    byId("composer").dataset.kind = kind;
    for (const each of ["reply", "note"]) {
      setAttr(byId(`kind-${each}`), "aria-selected", each === kind);
      byId(`kind-${each}`).tabIndex = each === kind ? 0 : -1;
    }
    this.text.value = this.session ? this.drafts.get(this.session.session_id, kind) : "";
    this.grow();
    this.words();
  }

  /** What the person asks for. */
  focus(kind) {
    if (kind && (kind === "note" || this.may)) {
      this.asked = true;
      this.choose(kind);
      this.deeds.turned();
    }
    this.text.focus();
  }

  wire() {
    byId("composer").addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    for (const kind of ["reply", "note"]) byId(`kind-${kind}`).addEventListener("click", () => this.focus(kind));
    byId("composer").querySelector("[role=tablist]").addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      this.focus(this.kind === "reply" ? "note" : "reply");
      byId(`kind-${this.kind}`).focus();
    });
    this.text.addEventListener("input", () => this.typed());
    this.text.addEventListener("keydown", (event) => this.key(event));
    this.text.addEventListener("paste", (event) => this.pasted(event));
    byId("attach").addEventListener("click", () => { this.filesOf = this.session; byId("file").click(); });
    byId("file").addEventListener("change", () => { this.files(byId("file").files, this.filesOf ?? this.session); this.filesOf = null; byId("file").value = ""; });
    byId("emoji-button").addEventListener("click", () => this.toggleEmoji());
    byId("canned-button").addEventListener("click", () => (byId("canned-box").hidden ? this.showCanned("", true) : this.closePickers()));
    byId("emoji").addEventListener("keydown", (event) => this.emojiKey(event));
    for (const type of ["pointerdown", "focusin"]) document.addEventListener(type, (event) => this.leftPicker(event.target));
    this.wireDrop();
  }

  wireDrop() {
    const zone = byId("room-panel");
    const files = (event) => this.may && [...event.dataTransfer.types].includes("Files");
    zone.addEventListener("dragover", (event) => { if (files(event)) { event.preventDefault(); byId("drop").hidden = false; } });
    zone.addEventListener("dragleave", (event) => { if (!zone.contains(event.relatedTarget)) byId("drop").hidden = true; });
    zone.addEventListener("drop", (event) => {
      byId("drop").hidden = true;
      if (!files(event)) return;
      event.preventDefault();
      this.files(event.dataTransfer.files);
    });
  }

  // ---- text

  typed() {
    this.drafts.keep(this.session.session_id, this.kind, this.text.value);
    this.grow();
    const slash = this.slash();
    if (slash) this.showCanned(slash[1]);
    else this.closePickers();
    if (this.kind === "reply" && this.text.value && !slash) this.tellTyping();
  }

  grow() {
    this.text.style.setProperty("height", "auto");
    this.text.style.setProperty("height", `${Math.min(this.text.scrollHeight + 2, 220)}px`);
  }

  key(event) {
    if (!byId("canned-box").hidden && this.cannedKey(event)) return event.preventDefault();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.submit();
  }

  submit() {
    const body = this.text.value.trim();
    if (!this.session || this.isStuck()) return;
    const { session_id: id } = this.session;
    this.stopTyping();
    if (this.kind === "note") return body && (this.saving.has(id) || this.saveNote(id, body));
    this.text.value = "";
    this.drafts.keep(id, "reply", "");
    this.grow();
    if (body) this.outbox.add(id, body);
    const files = this.chosen.take();
    if (files.length) this.uploads.add(id, files);
  }

  /** What is written on meanwhile stays, here and wherever the agent has gone. */
  async saveNote(id, body) {
    const written = this.text.value;
    this.saving.add(id);
    this.words();
    try {
      const told = await ask("POST", `sessions/${id}/notes`, { body });
      if (this.drafts.get(id, "note") === written) this.drafts.keep(id, "note", "");
      if (this.isAt(id, "note") && this.text.value === written) { this.text.value = ""; this.grow(); }
      this.deeds.noted(id, told.note);
    } catch (error) {
      this.deeds.refused(error);
    } finally {
      this.saving.delete(id);
      this.words();
    }
  }

  isAt(id, kind) { return this.session?.session_id === id && this.kind === kind; }
  isSaving() { return this.kind === "note" && this.saving.has(this.session.session_id); }

  tellTyping() {
    clearTimeout(this.typingTimer);
    this.typingTimer = setTimeout(() => this.stopTyping(), TYPING_ENDS_MS);
    if (performance.now() - this.typedAt < TYPING_EVERY_MS && this.typedAt) return;
    this.typedAt = performance.now();
    this.sayTyping(true);
  }

  stopTyping() {
    clearTimeout(this.typingTimer);
    if (this.typedAt) this.sayTyping(false);
    this.typedAt = 0;
  }

  sayTyping(on) {
    this.deeds.say({ type: "chat.typing", payload: { session_id: this.session.session_id, is_typing: on } });
  }

  insert(text) {
    this.text.setRangeText(text, this.text.selectionStart, this.text.selectionEnd, "end");
    this.typed();
    this.text.focus();
  }

  // ---- canned replies, emoji

  slash() {
    return this.kind === "reply" && /^\/(\S*)$/.exec(this.text.value);
  }

  /** The list has changed. What somebody is choosing from stays as it is. */
  cannedChanged() {
    const slash = this.session && this.slash();
    if (slash && byId("canned-box").hidden) this.showCanned(slash[1]);
  }

  showCanned(wanted, asked = false) {
    const all = this.deeds.canned();
    const bare = (shortcut) => shortcut.replace(/^\//, "").toLowerCase();
    const starts = all.filter(({ shortcut }) => bare(shortcut).startsWith(wanted.toLowerCase()));
    const holds = all.filter((each) => !starts.includes(each) && each.body.toLowerCase().includes(wanted.toLowerCase()));
    this.found = [...starts, ...holds].slice(0, CANNED_MOST);
    this.chosen = 0;
    byId("emoji").hidden = true;
    if (!this.found.length && !asked) { this.closePickers(); return; }
    byId("canned").replaceChildren(...(this.found.length ? this.found.map((each, n) => this.cannedRow(each, n)) : [make("li", { class: "soft", role: "option", "aria-disabled": "true", text: t(all.length ? "noCanned" : "noCannedAtAll") })]));
    byId("canned-box").hidden = false;
    setAttr(byId("canned-button"), "aria-expanded", true);
    for (const [name, value] of Object.entries(COMBOBOX)) setAttr(this.text, name, value);
    this.markCanned();
    if (asked) this.text.focus();
  }

  cannedRow({ shortcut, body }, n) {
    const row = make("li", { role: "option", id: `canned-${n}` }, make("kbd", { text: `/${shortcut.replace(/^\//, "")}` }), make("span", { text: body, dir: "auto" }));
    row.addEventListener("mousedown", (event) => { event.preventDefault(); this.chosen = n; this.takeCanned(); });
    return row;
  }

  cannedKey({ key, shiftKey }) {
    if (key === "Escape") { this.closePickers(); return true; }
    if (!this.found.length) return false;
    if (key === "ArrowDown" || key === "ArrowUp") {
      this.chosen = (this.chosen + (key === "ArrowDown" ? 1 : -1) + this.found.length) % this.found.length;
      this.markCanned();
      return true;
    }
    if (key !== "Enter" && (key !== "Tab" || shiftKey)) return false;
    this.takeCanned();
    return true;
  }

  markCanned() {
    [...byId("canned").children].forEach((row, n) => setAttr(row, "aria-selected", n === this.chosen));
    setAttr(this.text, "aria-activedescendant", this.found.length ? `canned-${this.chosen}` : null);
    byId("canned").children[this.chosen]?.scrollIntoView({ block: "nearest" });
  }

  takeCanned() {
    const { body } = this.found[this.chosen];
    const facts = { name: this.session.customer.name, agent: this.deeds.me().name };
    const text = body.replace(/\{(name|agent)\}/g, (_, key) => facts[key]);
    if (/^\/\S*$/.test(this.text.value)) this.text.value = "";
    this.closePickers();
    this.insert(text);
  }

  toggleEmoji() {
    const box = byId("emoji");
    if (!box.children.length)
      box.replaceChildren(...EMOJIS.map((sign, n) => {
        const button = make("button", { type: "button", text: sign, tabindex: n ? "-1" : "0" });
        button.addEventListener("click", () => { this.insert(sign); this.closePickers(); });
        return button;
      }));
    const open = box.hidden;
    this.closePickers();
    box.hidden = !open;
    setAttr(byId("emoji-button"), "aria-expanded", open);
    if (open) box.querySelector("[tabindex='0']").focus();
  }

  emojiKey(event) {
    const columns = getComputedStyle(byId("emoji")).gridTemplateColumns.split(" ").length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (event.key === "Escape") { this.closePickers(); this.text.focus(); event.stopPropagation(); }
    if (!step) return;
    event.preventDefault();
    const all = [...byId("emoji").children];
    const to = all[Math.min(Math.max(all.indexOf(document.activeElement) + step, 0), all.length - 1)];
    for (const button of all) button.tabIndex = button === to ? 0 : -1;
    to.focus();
  }

  /** Somebody goes on elsewhere on the page. The text is a part of the canned replies: it says which. */
  leftPicker(target) {
    const opener = byId("emoji").hidden ? byId("canned-button") : byId("emoji-button");
    const inside = [...document.querySelectorAll(".picker:not([hidden])"), opener, ...(byId("emoji").hidden ? [this.text] : [])];
    if (!inside.some((node) => node.contains(target))) this.closePickers();
  }

  /** Answers whether one was open. */
  closePickers() {
    const open = !byId("canned-box").hidden || !byId("emoji").hidden;
    byId("canned-box").hidden = byId("emoji").hidden = true;
    setAttr(byId("canned-button"), "aria-expanded", false);
    setAttr(byId("emoji-button"), "aria-expanded", false);
    for (const name of [...Object.keys(COMBOBOX), "aria-activedescendant"]) setAttr(this.text, name, null);
    return open;
  }

  // ---- files

  /** A private note has no files: they would go to the customer. */
  pasted(event) {
    const files = filesPasted(event.clipboardData);
    if (!files.length || this.kind === "note") return;
    event.preventDefault();
    this.files(files);
  }

  /** `session`: the one that they were chosen for; the dialog of files may outlast its being shown. */
  files(list, session = this.session) {
    if (!session || !(this.may || session.session_id !== this.session?.session_id)) return;
    this.chosen.add(list, session.session_id);
    if (session.session_id === this.session?.session_id) this.focus("reply"); // Enter sends them
  }
}
