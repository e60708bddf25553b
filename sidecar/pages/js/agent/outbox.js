// Unsent replies of the agent, an outbox for each conversation: before it the composer, after it the socket or REST.
// Nothing typed is lost: the letters outlive the tab (outbox.js), the drafts too (agent-drafts.js).

import { ask } from "./api.js";
import { Lost } from "../core/link.js";
import { forgetKept, keptNames, openOutbox } from "../core/outbox.js";

const KEPT = "giliran-agent-outbox";
const WRITTEN_MS = 5000;
const LOOK_MS = 50;

export class Outbox {
  /** `link()`: js/core/link.js's connection, null while nobody is signed in; `changed()`: show again; `sent(message)`. */
  constructor({ link, changed, sent }) {
    Object.assign(this, { link, changed, sent, owner: "", boxes: new Map() });
  }

  /** Whose they are: an agent's id is of one tenant alone. What an earlier tab could not send is sent now. */
  open(owner) {
    if (this.owner === owner) return;
    this.close();
    this.owner = owner;
    for (const id of keptNames(this.name(""))) this.box(id);
  }

  name(id) { return `${KEPT}:${this.owner}:${id}`; }

  box(id) {
    if (!this.boxes.has(id)) this.boxes.set(id, openOutbox({ kept: this.name(id), deliver: (letter) => this.deliver(id, letter), onChange: this.changed, onSent: (answer, letter) => this.sent({ body: letter.body, ...answer, session_id: id }) }));
    return this.boxes.get(id);
  }

  pending(id) { return this.boxes.get(id)?.letters ?? []; }
  add(id, body) { this.box(id).add(body); }
  retry(id, clientId) { this.box(id).again(clientId); }
  discard(id, clientId) { this.box(id).drop(clientId); }

  /** A row of the conversation is here: if it is one of these, no acknowledgement is needed any more. */
  settle(id, clientId) { this.boxes.get(id)?.settle(clientId); }

  /** The way out is there again, or another one: nobody waits for the end of a pause. */
  again() {
    for (const box of this.boxes.values()) box.kick();
  }

  /** None of those that wait now does any more. */
  passed(id) { return this.boxes.get(id)?.passed(); }

  /** Whether all that can be sent has been stored, within a few seconds. */
  async written(id) {
    const deadline = Date.now() + WRITTEN_MS;
    while (this.pending(id).some((letter) => !letter.failed)) {
      if (Date.now() > deadline) return false;
      await new Promise((looked) => setTimeout(looked, LOOK_MS));
    }
    return true;
  }

  async deliver(id, { client_id, body }) {
    if (!this.link()) throw new Lost("nobody is signed in");
    if (this.link().state === "live") return this.link().request("chat.message.send", { session_id: id, client_id, body });
    const told = await ask("POST", `sessions/${id}/messages`, { client_id, body });
    return told.message ?? told;
  }

  close() {
    for (const box of this.boxes.values()) box.close();
    this.boxes.clear();
  }

  /** The next one at this browser reads none of them. */
  clear() {
    this.close();
    forgetKept(this.name(""));
  }
}
