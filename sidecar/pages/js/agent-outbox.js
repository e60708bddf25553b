// Drafts and unsent messages of the agent: before it the composer, after it the socket or REST. Nothing typed is lost.
// One message of a conversation is on its way at a time, so a retry never overtakes; a repeat has the same client_id.

import { ask } from "./agent-api.js";
import { Lost } from "./link.js";

const KEPT = "giliran-agent-outbox";
const SOON_MS = 300;
const AGAIN_MS = 2000;
const WRITTEN_MS = 5000;
const LOOK_MS = 50;
const TRANSIENT = new Set(["rate_limited", "unavailable", "unreachable", "unauthorized", "expired"]);

export const newClientId = () => `c${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;

export class Outbox {
  /** `link()`: js/link.js's connection, null while nobody is signed in; `changed(id)`: show again; `sent(message)`. */
  constructor({ link, changed, sent }) {
    Object.assign(this, { link, changed, sent, owner: "", drafts: {}, queues: {}, flying: new Set(), timers: new Map() });
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
    const letter = { client_id: newClientId(), body, at: new Date().toISOString(), trouble: "" };
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

  /** The way out is there again, or another one: nobody waits for the end of a pause. */
  again() {
    for (const timer of this.timers.values()) clearTimeout(timer);
    for (const id of Object.keys(this.queues)) this.pump(id);
  }

  /** Whether all that can be sent has been stored, within a few seconds. */
  async written(id) {
    const deadline = Date.now() + WRITTEN_MS;
    while (this.pending(id).some((letter) => !letter.trouble)) {
      if (Date.now() > deadline) return false;
      await new Promise((looked) => setTimeout(looked, LOOK_MS));
    }
    return true;
  }

  async pump(id) {
    const letter = this.pending(id).find((each) => !each.trouble);
    if (!letter || this.flying.has(id) || !this.link()) return;
    this.flying.add(id);
    let pause = 0;
    try {
      this.stored(id, letter, await this.deliver(id, letter));
    } catch (error) {
      pause = this.refused(letter, error);
    } finally {
      this.flying.delete(id);
    }
    this.save();
    this.changed(id);
    if (pause) this.timers.set(id, setTimeout(() => this.pump(id), pause));
    else this.pump(id);
  }

  async deliver(id, { client_id, body }) {
    if (this.link().state === "live") return this.link().request("chat.message.send", { session_id: id, client_id, body });
    const told = await ask("POST", `sessions/${id}/messages`, { client_id, body });
    return told.message ?? told;
  }

  /** `answer`: an ack, or the stored message itself. */
  stored(id, letter, answer) {
    this.drop(id, letter.client_id);
    this.sent({ body: letter.body, ...answer, session_id: id });
  }

  /** How long to wait before the next try; 0: this one stays unsent until somebody decides. */
  refused(letter, error) {
    if (error instanceof Lost) return SOON_MS;
    if (!error.code) throw error;
    if (TRANSIENT.has(error.code)) return Math.max(AGAIN_MS, (error.retryAfter ?? 0) * 1000);
    letter.trouble = error.code;
    return 0;
  }

  drop(id, clientId) {
    const queue = this.pending(id);
    const at = queue.findIndex((letter) => letter.client_id === clientId);
    if (at < 0) return;
    queue.splice(at, 1);
    if (!queue.length) delete this.queues[id];
    this.save();
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
