/* The addresses of a chat's files. What opens a file stands in its address for a while, the key of the chat never: whoever
 * is given the address of a picture is given that picture, and not the chat.
 *
 *   const files = new FileTickets(`public/sessions/${key}`);
 *   await files.address(file, file.url)   // asks where it has to; all that is wanted at one moment is asked for together
 *   files.known(file, file.url)           // the same at once, or null where it has to be asked for
 */

import { addressOf, ask } from "./api.js";
import { wait } from "./link.js";

const SPARE_MS = 60_000; // of a ticket's life: for clocks, and for the way
const TRIES = 5;

export class FileTickets {
  #tickets = new Map(); // id → {ticket, until}
  #wanted = new Set();
  #asking = null;

  constructor(path) {
    this.path = path;
  }

  known({ id }, path) {
    const { ticket, until } = this.#tickets.get(id) ?? { until: 0 };
    if (Date.now() >= until) return null;
    const url = new URL(addressOf(path));
    url.searchParams.set("ticket", ticket);
    return url.href;
  }

  async address(file, path) {
    for (let tries = 1; !this.known(file, path); tries += 1) {
      this.#wanted.add(file.id);
      this.#asking ??= new Promise((done) => setTimeout(done)).then(() => this.#ask());
      try {
        await this.#asking;
        if (!this.known(file, path)) throw new Error("no such file");
      } catch (error) {
        const passes = error.status === 0 || error.status === 429 || error.status >= 500;
        if (!passes || tries >= TRIES) throw error;
        await new Promise((done) => setTimeout(done, wait(tries)));
      }
    }
    return this.known(file, path);
  }

  async #ask() {
    const files = [...this.#wanted];
    const asked = Date.now();
    this.#wanted.clear();
    this.#asking = null;
    const { tickets, seconds } = await ask("POST", `${this.path}/tickets`, { json: { files } });
    for (const [id, ticket] of Object.entries(tickets)) this.#tickets.set(id, { ticket, until: asked + seconds * 1000 - SPARE_MS });
  }
}
