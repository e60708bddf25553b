/* One session of a customer, kept up to date: what is known of it, the way to send, and the socket. Draws nothing.
 *
 * First load: fetch everything, then a socket with `after`. State comes from rows and events only. Where it lost its
 * place (a hole that stays open), the same first load runs again, while the socket goes on.
 */

import { addressOf, ask, fetchBlob, upload } from "../core/api.js";
import { refusedAs } from "../core/file-refusals.js";
import { FileTickets } from "../core/file-tickets.js";
import { Lost, openLink } from "../core/link.js";
import { newClientId, openOutbox } from "../core/outbox.js";
import { save } from "../core/saving.js";
import { situation, Thread } from "../core/thread.js";
import { Lane } from "../core/uploads.js";

const HOLE_MS = 1500;
const TYPING_SHOWN_MS = 6000;
const TYPING_TOLD_MS = 3000;
export const KEY_LIFE_MS = 24 * 60 * 60_000; // after the end, as the server has it (KEY_LIFE_S in db/chat.py)
const REFUSED_FILE = { 413: "payload_too_large", 415: "unsupported_media_type" }; // also where a proxy says it, without our code

export class Talk {
  thread = new Thread();
  place = { position: null, waiting: null, eta: null };
  agentsOnline = null;
  closed = null; // outside the hours: {opens_at, opens}
  customer = { name: "", email: "" };
  marks = { got: 0, read: 0 };
  rating = null;
  typing = null; // {name}
  uploads = [];
  connection = { state: "connecting" };
  loaded = false;
  #closed = false;
  #lane = new Lane();
  #timers = {};
  #read = 0;
  #toldTyping = 0;

  /** `changed()`: draw again. `lost(reason)`: there is no such session, or no way to it any more. `previews`: of pictures
   *  under way; somebody's page may forbid them. */
  constructor(key, id, { changed, lost, previews = true }) {
    Object.assign(this, { key, id, changed, lost, previews });
    this.path = `public/sessions/${encodeURIComponent(key)}`;
    this.files = new FileTickets(this.path);
    this.outbox = openOutbox({ kept: `giliran-outbox-${id}`, deliver: (letter) => this.#deliver(letter), onChange: changed, onSent: (ack, letter) => this.#sent(ack, letter) });
  }

  get now() {
    return situation(this.thread.rows);
  }

  get pending() {
    return [...this.outbox.letters, ...this.uploads].filter((letter) => !this.thread.has(letter.client_id));
  }

  async open() {
    await this.load();
    if (this.#closed) return;
    this.link = openLink({
      address: () => addressOf(`/ws/public/${encodeURIComponent(this.key)}?after=${this.thread.last}`, "ws"),
      poll: () => this.#poll(),
      onFrame: (type, payload) => this.heard(type, payload),
      onState: (state, facts) => this.#connected(state, facts),
    });
  }

  close() {
    this.#closed = true;
    this.outbox.close();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.link?.close();
  }

  /** The first load, and the way back for a page that lost its place. */
  async load() {
    const rows = [];
    let answer;
    do {
      answer = await ask("GET", `${this.path}?after=${rows.at(-1)?.seq ?? 0}`);
      rows.push(...answer.messages);
    } while (answer.more && answer.messages.length && !this.#closed);
    this.thread = Thread.of(rows, this.thread);
    this.#take(answer);
    this.loaded = true;
  }

  /** One frame of the socket. */
  heard(type, payload) {
    const hear = HEARD[type];
    if (!hear) return;
    hear(this, payload);
    this.changed();
  }

  add(row) {
    const shown = this.thread.add(row);
    if (row.client_id) this.outbox.settle(row.client_id);
    if (shown.some((one) => one.sender_type === "agent")) this.#typed(null);
    if (shown.some((one) => one.event)) this.place = this.now.status === "waiting" ? this.place : { position: null, waiting: null, eta: null };
    if (this.thread.hasHole && !this.#closed) this.#timers.hole ??= setTimeout(() => this.#mend(), HOLE_MS);
    return shown;
  }

  /** The text first, the files after it. */
  say(body, files = []) {
    if (body) this.outbox.add(body);
    this.typingStopped();
    for (const file of files) this.#sendFile(file);
  }

  async #sendFile(file) {
    const letter = { client_id: newClientId(), file, share: 0, preview: this.previews && file.type.startsWith("image/") ? URL.createObjectURL(file) : null };
    this.uploads.push(letter);
    this.changed();
    await this.#upload(letter);
    this.changed();
  }

  async again(clientId) {
    const letter = this.uploads.find((one) => one.client_id === clientId);
    if (!letter) return this.outbox.again(clientId);
    delete letter.failed;
    this.changed();
    await this.#upload(letter);
    this.changed();
  }

  drop(clientId) {
    this.outbox.drop(clientId);
    this.#dropUpload(clientId);
    this.changed();
  }

  typed() {
    const due = Date.now() - this.#toldTyping > TYPING_TOLD_MS;
    if (due && this.link?.send("chat.typing", { session_id: this.id, is_typing: true })) this.#toldTyping = Date.now();
  }

  typingStopped() {
    if (this.#toldTyping) this.link?.send("chat.typing", { session_id: this.id, is_typing: false });
    this.#toldTyping = 0;
  }

  /** The customer has seen everything up to here. */
  seen() {
    const upTo = this.thread.last;
    if (upTo <= this.#read || !["live", "polling"].includes(this.connection.state)) return;
    this.#read = upTo;
    if (this.link.send("chat.message.read", { session_id: this.id, up_to_seq: upTo })) return;
    ask("POST", `${this.path}/read`, { json: { up_to_seq: upTo } }).catch(() => (this.#read = 0)); // the next look tells it
  }

  get hasWritten() {
    return this.pending.length > 0 || this.thread.rows.some((row) => row.sender_type === "customer");
  }

  async end() {
    await ask("POST", `${this.path}/end`, { json: {} });
    await this.#catchUp();
  }

  async rate(rating, comment) {
    await ask("POST", `${this.path}/rating`, { json: { rating, ...(comment ? { comment } : {}) } });
    this.rating = rating;
    this.changed();
  }

  /** Fetched, for a link would tell the key of the chat. */
  async saveTranscript(format) {
    save(await fetchBlob(`${this.path}/transcript?format=${format}`), `chat-${this.id}.${format}`);
  }

  /** A chat that is over: its key opens it for a while yet, then the page has no use for it. */
  isOver() {
    this.#timers.lapse ??= setTimeout(() => this.lost("not_found"), KEY_LIFE_MS);
  }

  async #deliver(letter) {
    if (this.connection.state === "live") return this.link.request("chat.message.send", { session_id: this.id, client_id: letter.client_id, body: letter.body });
    if (this.connection.state === "polling") return ask("POST", `${this.path}/messages`, { json: { client_id: letter.client_id, body: letter.body } });
    throw new Lost("no way");
  }

  #sent({ id, seq, created_at }, { client_id, body }) {
    this.add({ session_id: this.id, id, seq, body, created_at, client_id, sender_type: "customer", sender_id: "", sender_name: this.customer.name, attachments: [] });
    this.changed();
  }

  #upload(letter) {
    return this.#lane.add(async () => {
      await this.outbox.passed(); // what was written before it comes before it
      if (this.uploads.includes(letter)) await this.#send(letter);
    });
  }

  async #send(letter) {
    letter.sending = new AbortController();
    const onShare = (share) => {
      letter.share = share;
      letter.onShare?.(share);
    };
    this.changed();
    try {
      const row = await upload(`${this.path}/attachments`, letter.file, { clientId: letter.client_id, onShare, signal: letter.sending.signal });
      this.#dropUpload(letter.client_id);
      this.add({ client_id: letter.client_id, ...row });
    } catch (error) {
      letter.failed = error.status === 0 ? "lost" : refusedAs(REFUSED_FILE[error.status] ?? error.code, letter.file);
    }
  }

  #dropUpload(clientId) {
    const gone = this.uploads.find((one) => one.client_id === clientId);
    this.uploads = this.uploads.filter((one) => one !== gone);
    gone?.sending?.abort();
    if (gone?.preview) URL.revokeObjectURL(gone.preview);
  }

  #connected(state, facts) {
    const troubleSince = state === "reconnecting" ? (this.connection.troubleSince ?? Date.now()) : undefined;
    this.connection = { state, troubleSince, ...facts };
    if (state === "live" || state === "polling") this.outbox.kick();
    if (state !== "live") this.#typed(null);
    if (state === "closed" && facts.reason !== "left") this.lost(facts.reason);
    this.changed();
  }

  async #poll() {
    let answer;
    do {
      answer = await ask("GET", `${this.path}?after=${this.thread.last}`);
      for (const row of answer.messages) this.add(row);
    } while (answer.more && answer.messages.length && !this.#closed);
    this.#take(answer);
    this.changed();
  }

  /** After something that we did ourselves, where no socket will tell. */
  #catchUp() {
    return this.connection.state === "live" ? null : this.#poll();
  }

  async #mend() {
    this.#timers.hole = undefined;
    if (!this.thread.hasHole || this.#closed) return;
    try {
      await this.load();
      this.changed();
    } catch {
      if (!this.#closed) this.#timers.hole = setTimeout(() => this.#mend(), HOLE_MS); // the server is away: the link says so
    }
  }

  #take(answer) {
    this.id = answer.session_id;
    this.stands(answer);
    this.customer = answer.customer ?? this.customer;
    this.rating = answer.rating ?? this.rating;
    this.mark("got", answer.agent_got ?? 0);
    this.mark("read", answer.agent_read ?? 0);
    for (const row of answer.messages) if (row.client_id) this.outbox.settle(row.client_id);
  }

  /** In line, and whether somebody is there to serve it. */
  stands({ position, waiting, eta_low_seconds: low, eta_high_seconds: high, agents_online: online, closed }) {
    const before = this.place.position;
    const isWorse = position && before && (position > before || (position === before && this.place.isWorse)); // somebody is back
    this.place = { position: position ?? null, waiting: waiting ?? null, eta: high == null ? null : { low, high }, isWorse };
    this.agentsOnline = online ?? null;
    this.closed = closed ?? null;
  }

  mark(kind, upTo) {
    this.marks[kind] = Math.max(this.marks[kind], upTo);
    this.marks.got = Math.max(this.marks.got, this.marks.read);
  }

  #typed(name) {
    clearTimeout(this.#timers.typing);
    this.typing = name === null ? null : { name };
    if (this.typing) this.#timers.typing = setTimeout(() => (this.#typed(null), this.changed()), TYPING_SHOWN_MS);
  }

  writes({ by, is_typing, name }) {
    if (by !== "customer") this.#typed(is_typing ? (name ?? "") : null);
  }
}

const HEARD = {
  "chat.message.new": (talk, row) => talk.add(row),
  "chat.queue.position": (talk, payload) => talk.stands(payload),
  "chat.typing": (talk, payload) => talk.writes(payload),
  "chat.message.read": (talk, { by, up_to_seq: upTo }) => by !== "customer" && talk.mark("read", upTo),
  "chat.message.delivered": (talk, { by, up_to_seq: upTo }) => by !== "customer" && talk.mark("got", upTo),
  "chat.session.rated": (talk, { rating }) => (talk.rating = rating), // on another page of theirs
  "chat.session.assigned": (talk) => (talk.agentsOnline = Math.max(1, talk.agentsOnline ?? 1)),
};
