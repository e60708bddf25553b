/* Messages on their way: kept until they are acknowledged, also when the tab is closed; each sent until it is, in their
 * order.
 *
 *   const outbox = openOutbox({ kept: `giliran-outbox-${id}`, deliver, onChange, onSent });
 *   outbox.add("Hello")   // at once shown as waiting: outbox.letters → [{client_id, body, at, failed?}]
 *   outbox.kick()         // the way is open again
 *   outbox.settle(id)     // came back as a row: no ack will be needed
 *   outbox.again(id), outbox.drop(id)   // of one that failed for good
 *   await outbox.passed() // none of those that wait now does any more: what comes after them may go
 *   outbox.close()        // nothing is tried any more
 *
 * One letter is on its way at a time: so a retry can't overtake, and `client_id` makes the repetition harmless:
 * by this tab or by another one, which begins with what is kept. What one tab settles or drops goes in all.
 * `deliver(letter)` gives the ack, or throws: Refused/NotAnswered with a code that passes (429, 503) or not, or Lost.
 */

const AGAIN_MS = 2000;
const LONGEST_MS = 30_000;
const PASSES = new Set(["rate_limited", "unavailable", "unreachable", "unauthorized"]); // the last: signed in again

export const newClientId = () => `c${[...crypto.getRandomValues(new Uint8Array(10))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

export function openOutbox(options) {
  return new Outbox(options);
}

class Outbox {
  letters = [];
  #options;
  #busy = false;
  #closed = false;
  #timer = 0;
  #tries = 0;
  #watches = new AbortController();
  #awaited = [];

  constructor(options) {
    this.#options = options;
    this.letters = recall(options.kept);
    addEventListener("storage", ({ key, newValue }) => newValue === null && this.#settledElsewhere(key), { signal: this.#watches.signal });
  }

  add(body) {
    const turn = Math.max(Date.now(), (this.letters.at(-1)?.turn ?? 0) + 1);
    const letter = { client_id: newClientId(), body, at: new Date().toISOString(), turn };
    this.letters.push(letter);
    this.#keep(letter);
    this.kick();
    return letter;
  }

  #settledElsewhere(key) {
    const letter = this.letters.find(({ client_id: id }) => key === entry(this.#options.kept, id));
    if (letter) this.settle(letter.client_id);
  }

  settle(clientId) {
    const before = this.letters.length;
    this.letters = this.letters.filter((letter) => letter.client_id !== clientId);
    if (this.letters.length === before) return;
    forget(this.#options.kept, clientId);
    this.#changed();
  }

  again(clientId) {
    const letter = this.letters.find((one) => one.client_id === clientId);
    if (!letter) return;
    delete letter.failed;
    this.#keep(letter);
    this.kick();
  }

  drop(clientId) {
    this.settle(clientId);
  }

  close() {
    this.#closed = true;
    this.#watches.abort();
    clearTimeout(this.#timer);
  }

  async kick() {
    clearTimeout(this.#timer);
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    try {
      for (let letter = this.#next(); letter; letter = this.#next()) if (!(await this.#sent(letter))) break;
    } finally {
      this.#busy = false;
    }
  }

  #next() {
    return this.letters.find((letter) => !letter.failed);
  }

  async #sent(letter) {
    try {
      const ack = await this.#options.deliver(letter);
      if (this.#closed) return false;
      this.#tries = 0;
      this.#options.onSent?.(ack, letter);
      this.settle(letter.client_id);
      return true;
    } catch (error) {
      if (!this.letters.includes(letter)) return true; // settled meanwhile: it came back as a row
      if (error.code && !PASSES.has(error.code)) return this.#failed(letter, error.code);
      this.#tries += 1;
      const pause = Math.max((error.retryAfter ?? 0) * 1000, Math.min(LONGEST_MS, AGAIN_MS * 2 ** (this.#tries - 1)) * (0.75 + Math.random() / 2));
      if (!this.#closed) this.#timer = setTimeout(() => this.kick(), pause);
      return false;
    }
  }

  #failed(letter, code) {
    letter.failed = code;
    this.#keep(letter);
    return true; // the next one may go: this one waits for its writer
  }

  #keep(letter) {
    keep(this.#options.kept, letter);
    this.#changed();
  }

  async passed() {
    const mine = this.letters.filter((letter) => !letter.failed);
    while (mine.some((letter) => this.letters.includes(letter) && !letter.failed)) await new Promise((done) => this.#awaited.push(done));
  }

  #changed() {
    for (const done of this.#awaited.splice(0)) done();
    this.#options.onChange?.();
  }
}

// Each letter has an entry of its own: of two tabs none can undo what the other keeps.

/** What follows `prefix` in the names of the outboxes that have letters. */
export function keptNames(prefix) {
  return [...new Set(namesFrom(prefix).map((each) => each.slice(prefix.length, each.lastIndexOf(":"))))];
}

/** All letters of the outboxes whose names begin so. */
export function forgetKept(prefix) {
  for (const each of namesFrom(prefix)) localStorage.removeItem(each);
}

function namesFrom(prefix) {
  try {
    return Object.keys(localStorage).filter((each) => each.startsWith(prefix));
  } catch {
    return []; // storage may be forbidden
  }
}

const entry = (name, clientId) => `${name}:${clientId}`;

function recall(name) {
  try {
    return namesFrom(entry(name, "")).map((each) => JSON.parse(localStorage.getItem(each))).sort((one, other) => one.turn - other.turn);
  } catch {
    return []; // storage may be forbidden
  }
}

function keep(name, letter) {
  try {
    localStorage.setItem(entry(name, letter.client_id), JSON.stringify(letter));
  } catch {
    /* kept in memory only */
  }
}

function forget(name, clientId) {
  try {
    localStorage.removeItem(entry(name, clientId));
  } catch {
    /* it was in memory only */
  }
}
