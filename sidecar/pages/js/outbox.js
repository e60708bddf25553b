/* Messages on their way: kept until they are acknowledged, also across a reload; each sent until it is, in their order.
 *
 *   const outbox = openOutbox({ kept: `giliran-outbox-${id}`, deliver, onChange, onSent });
 *   outbox.add("Hello")   // at once shown as waiting: outbox.letters → [{client_id, body, at, failed?}]
 *   outbox.kick()         // the way is open again
 *   outbox.settle(id)     // came back as a row: no ack will be needed
 *   outbox.again(id), outbox.drop(id)   // of one that failed for good
 *   outbox.close()        // nothing is tried any more
 *
 * One letter is on its way at a time: so a retry can't overtake, and `client_id` makes the repetition harmless.
 * `deliver(letter)` gives the ack, or throws: Refused/NotAnswered with a code that passes (429, 503) or not, or Lost.
 */

const AGAIN_MS = 2000;
const LONGEST_MS = 30_000;
const PASSES = new Set(["rate_limited", "unavailable", "unreachable"]);

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

  constructor(options) {
    this.#options = options;
    this.letters = recall(options.kept);
  }

  add(body) {
    const letter = { client_id: newClientId(), body, at: new Date().toISOString() };
    this.letters.push(letter);
    this.#changed();
    this.kick();
    return letter;
  }

  settle(clientId) {
    const before = this.letters.length;
    this.letters = this.letters.filter((letter) => letter.client_id !== clientId);
    if (this.letters.length !== before) this.#changed();
  }

  again(clientId) {
    const letter = this.letters.find((one) => one.client_id === clientId);
    if (letter) delete letter.failed;
    this.#changed();
    this.kick();
  }

  drop(clientId) {
    this.settle(clientId);
  }

  close() {
    this.#closed = true;
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
      this.#tries = 0;
      this.#options.onSent?.(ack, letter);
      this.settle(letter.client_id);
      return true;
    } catch (error) {
      if (error.code && !PASSES.has(error.code)) return this.#failed(letter, error.code);
      this.#tries += 1;
      const pause = Math.max((error.retryAfter ?? 0) * 1000, Math.min(LONGEST_MS, AGAIN_MS * 2 ** (this.#tries - 1)) * (0.75 + Math.random() / 2));
      if (!this.#closed) this.#timer = setTimeout(() => this.kick(), pause);
      return false;
    }
  }

  #failed(letter, code) {
    letter.failed = code;
    this.#changed();
    return true; // the next one may go: this one waits for its writer
  }

  #changed() {
    keep(this.#options.kept, this.letters);
    this.#options.onChange?.();
  }
}

function recall(name) {
  try {
    const letters = JSON.parse(localStorage.getItem(name) ?? "[]");
    return Array.isArray(letters) ? letters : [];
  } catch {
    return []; // storage may be forbidden
  }
}

function keep(name, letters) {
  try {
    if (letters.length) localStorage.setItem(name, JSON.stringify(letters));
    else localStorage.removeItem(name);
  } catch {
    /* kept in memory only */
  }
}
