/* The rows of one conversation in their gapless order, and what they say about it. Pure: no page, no network.
 *
 * A row may come twice (fetch and socket) or early (the ack of one's own message overtakes another's message): `add`
 * shows each once, in order, and keeps early ones until the hole is filled. A hole that stays means: fetch it all again.
 */

export const WANTS_PERSON = "/person"; // what the customer's button sends; the server's word (db/chat.py)

export class Thread {
  rows = [];
  #early = new Map();

  get last() {
    return this.rows.length ? this.rows[this.rows.length - 1].seq : 0;
  }

  get hasHole() {
    return this.#early.size > 0;
  }

  /** Gives the rows that can be shown now, in order: none if it is known or early. */
  add(row) {
    if (row.seq <= this.last) return [];
    this.#early.set(row.seq, row);
    const shown = [];
    for (let next = this.last + 1; this.#early.has(next); next += 1) {
      shown.push(this.#early.get(next));
      this.rows.push(this.#early.get(next));
      this.#early.delete(next);
    }
    return shown;
  }

  has(clientId) {
    return this.rows.some((row) => row.client_id === clientId) || [...this.#early.values()].some((row) => row.client_id === clientId);
  }

  /** A thread of a fresh fetch; rows that a socket brought meanwhile are kept. */
  static of(rows, meanwhile = null) {
    const thread = new Thread();
    for (const row of rows) thread.add(row);
    for (const row of meanwhile ? [...meanwhile.rows, ...meanwhile.#early.values()] : []) thread.add(row);
    return thread;
  }
}

/** Status and agent, as the happenings among the rows leave them; `served`: an agent has been there. */
export function situation(rows) {
  const now = { status: "waiting", agent: null, endedBy: null, served: false };
  for (const { event } of rows) {
    if (!event) continue;
    if (event.type === "assigned" || event.type === "transferred") Object.assign(now, { status: "active", agent: { agent_id: event.agent_id, name: event.name }, served: true });
    else if (event.type === "released") Object.assign(now, { status: "waiting", agent: null });
    else if (event.type === "ended") Object.assign(now, { status: "ended", endedBy: event.by ?? null });
  }
  return now;
}

/** How far a message of one's own has come: sent, delivered, read. */
export const mark = (seq, { got, read }) => (seq <= read ? "read" : seq <= got ? "delivered" : "sent");
