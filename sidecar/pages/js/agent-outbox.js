// Drafts and unsent messages of the agent: before it the composer, after it the socket or REST. Nothing typed is lost.
// One message of a conversation is on its way at a time, so a retry never overtakes; a repeat has the same client_id.

import { Refused, ask } from "./agent-api.js";

const KEPT = "giliran-agent-outbox";
const ACK_MS = 10000; // without an answer the message is sent again
const AGAIN_MS = 2000;
const TRANSIENT = new Set(["rate_limited", "unavailable", "unreachable", "unauthorized", "expired"]);

export class Outbox {
  /** `send(frame)` answers whether a socket took it; `changed(id)`: show again; `sent(message)`: it is stored. */
  constructor({ send, changed, sent }) {
    Object.assign(this, { send, changed, sent, owner: "", drafts: {}, queues: {}, flying: new Map(), timers: new Map() });
  }

  /** Whose they are. Another agent's drafts are never shown, and wait for their owner. */
  open(owner) {
    if (this.owner === owner) return;
    this.owner = owner;
    const { drafts = {}, queues = {} } = recall(owner);
    Object.assign(this, { drafts, queues });
    this.flying.clear();
  }

  draft(id, kind) { return this.drafts[`${kind}:${id}`] ?? ""; }

  keepDraft(id, kind, text) {
    if (text) this.drafts[`${kind}:${id}`] = text;
    else delete this.drafts[`${kind}:${id}`];
    this.save();
  }

  pending(id) { return this.queues[id] ?? []; }

  add(id, body) {
    const letter = { client_id: `c${crypto.getRandomValues(new Uint32Array(3)).join("-")}`, body, at: new Date().toISOString(), trouble: "" };
    (this.queues[id] ??= []).push(letter);
    this.save();
    this.pump(id);
  }

  retry(id, clientId) {
    const letter = this.pending(id).find((each) => each.client_id === clientId);
    if (letter) letter.trouble = "";
    this.pump(id);
    this.changed(id);
  }

  discard(id, clientId) { this.drop(id, clientId); this.changed(id); }

  /** The way out is there again (or another one): what was on its way is asked again. */
  again() {
    this.flying.clear();
    for (const id of Object.keys(this.queues)) this.pump(id);
  }

  pump(id) {
    const letter = this.pending(id).find((each) => !each.trouble);
    if (!letter || this.flying.has(id)) return;
    this.flying.set(id, letter.client_id);
    const { client_id, body } = letter;
    if (this.send({ type: "chat.message.send", payload: { session_id: id, client_id, body } })) this.after(id, ACK_MS);
    else this.post(id, letter);
  }

  async post(id, { client_id, body }) {
    try {
      this.acknowledged({ session_id: id, client_id, ...await ask("POST", `sessions/${id}/messages`, { client_id, body }) });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refused({ client_id, code: error.code, message: error.message, wait: error.retryAfter * 1000 });
    }
  }

  /** `answer`: an ack, or the stored message itself. */
  acknowledged(answer) {
    const told = answer.message ?? answer;
    const { session_id: id = answer.session_id, client_id: clientId } = told;
    const letter = this.drop(id, clientId ?? answer.client_id);
    if (letter) this.sent({ body: letter.body, ...told, session_id: id });
    this.pump(id);
    this.changed(id);
  }

  /** An `error` that names a message of ours. Answers whether it was ours. */
  refused({ client_id: clientId, code, message, wait = 0 }) {
    const id = Object.keys(this.queues).find((each) => this.pending(each).some((letter) => letter.client_id === clientId));
    if (!id) return false;
    if (TRANSIENT.has(code)) this.after(id, wait || AGAIN_MS);
    else {
      this.pending(id).find((letter) => letter.client_id === clientId).trouble = code;
      this.flying.delete(id);
      this.pump(id);
    }
    this.save();
    this.changed(id);
    return true;
  }

  after(id, ms) {
    clearTimeout(this.timers.get(id));
    this.timers.set(id, setTimeout(() => { this.flying.delete(id); this.pump(id); }, ms));
  }

  drop(id, clientId) {
    const queue = this.pending(id);
    const at = queue.findIndex((letter) => letter.client_id === clientId);
    if (at < 0) return null;
    const [letter] = queue.splice(at, 1);
    if (!queue.length) delete this.queues[id];
    if (this.flying.get(id) === clientId) { this.flying.delete(id); clearTimeout(this.timers.get(id)); }
    this.save();
    return letter;
  }

  save() {
    try {
      sessionStorage.setItem(`${KEPT}:${this.owner}`, JSON.stringify({ drafts: this.drafts, queues: this.queues }));
    } catch (error) {
      console.info("drafts live as long as this page", error.name);
    }
  }
}

function recall(owner) {
  try {
    return JSON.parse(sessionStorage.getItem(`${KEPT}:${owner}`)) ?? {};
  } catch {
    return {}; // storage may be forbidden
  }
}
