/* The connection of a page with the chat: a socket that comes back by itself, and polling where sockets are blocked.
 *
 *   const link = openLink({
 *     address: () => addressOf(`/ws/public/${key}?after=${thread.last}`, "ws"),   // asked before each connection
 *     hello: () => ({ type: "auth", payload: { token } }),                  // optional first frame of ours (agents)
 *     ready: "auth.ok",               // optional: the frame that makes it live; without it, the first one
 *     poll: async () => { … },        // optional: fetches what the socket would have brought; throws when it can't
 *     onFrame: (type, payload) => {}, // each frame, `ready` included, in the order in which they came
 *     onState: (state, facts) => {},  // see below
 *   });
 *   link.send("chat.typing", { session_id, is_typing: true })      // true if it went into a socket; never kept
 *   await link.request("chat.message.send", { session_id, client_id, body })
 *                                   // the payload of its `chat.message.ack`; Refused (code) or Lost, see outbox.js
 *   link.state, link.retryNow(), link.close()
 *
 * States: connecting · live · reconnecting {retryAt} · polling · closed {code, reason}: it will not come back by itself
 * (4001 who are you, 4404 no such session, 1008 again and again, or a poll that threw an error with `final`).
 * Waits between tries double from half a second to 15 s, with jitter, so that a thousand pages do not come back at once.
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const OPEN_WITHIN_MS = 6000; // some proxies swallow the handshake without a word
const ANSWER_WITHIN_MS = 10_000; // then the socket counts as dead
const STEADY_AFTER_MS = 5000; // a socket that lives shorter does not start the waits afresh
const POLL_AFTER_FAILURES = 2;
const POLL_MS = 2000;
const POLL_HIDDEN_MS = 8000;
const TICK_MS = 10_000;
const SLEPT_MS = 90_000; // timers of hidden pages come once a minute; more means that the machine slept
const QUIET_MS = 20_000; // nothing heard for so long: ask whether anybody is there
const POLICY_TRIES = 3;
const FINAL = { 4001: "unauthorized", 4404: "not_found" };
const COME_BACK_SOON = 1013; // too slow a reader: nothing is wrong with the server
const SERVER_STOPS = 1001; // it told all its pages at one moment: they come to another one, or to the next, not all at once
const SPREAD_MS = 2500;

/** The way was lost before an answer came. The thing asked for may have happened: ask again with the same client_id. */
export class Lost extends Error {}

/** The server said no. `code` is its word; `retryAfter` seconds where it named them. */
export class Refused extends Error {
  constructor({ code, message, retry_after: retryAfter }) {
    super(message ?? code);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** How long before try number `failures` (1, 2, …); `random` from 0 to 1. */
export const wait = (failures, random = Math.random()) => Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)) * (0.5 + random / 2);

/** How long after a socket was closed with `code`. */
export function pause(code, failures, random = Math.random()) {
  if (code === SERVER_STOPS && failures === 1) return SPREAD_MS * random;
  return code === COME_BACK_SOON ? wait(1, random) : wait(failures + (code === 1008 ? 3 : 0), random);
}

export function openLink(options) {
  return new Link(options);
}

class Link {
  state = "connecting";
  #options;
  #socket = null;
  #asked = new Map(); // client_id → {resolve, reject, timer}
  #failures = 0;
  #refusals = 0;
  #timers = {};
  #polls = false;
  #heardAt = 0;
  #askedAt = 0;
  #watches = new AbortController();

  constructor(options) {
    this.#options = options;
    this.#watch();
    this.#connect();
  }

  send(type, payload) {
    if (this.state !== "live" || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify({ type, payload }));
    return true;
  }

  request(type, payload) {
    return new Promise((resolve, reject) => {
      if (!this.send(type, payload)) return reject(new Lost("no socket"));
      const timer = setTimeout(() => this.#restart(), ANSWER_WITHIN_MS);
      this.#asked.set(payload.client_id, { resolve, reject, timer });
    });
  }

  /** Now, not when the wait is over; for a button and for the network that came back. */
  retryNow() {
    if (this.state === "closed" || this.state === "live") return;
    clearTimeout(this.#timers.retry);
    if (!this.#socket) this.#connect();
  }

  close() {
    this.#end("left", 1000);
  }

  #connect() {
    let socket;
    try {
      socket = new WebSocket(this.#options.address());
    } catch {
      return this.#failed(0); // a policy of the page or an extension forbids sockets
    }
    this.#socket = socket;
    this.#timers.open = setTimeout(() => this.#drop(socket), OPEN_WITHIN_MS);
    socket.onopen = () => {
      const { hello } = this.#options;
      if (hello) socket.send(JSON.stringify(hello()));
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket || this.state === "closed") return;
      this.#heardAt = Date.now();
      this.#heard(data);
    };
    socket.onclose = ({ code }) => this.#gone(socket, code);
  }

  #heard(data) {
    const { type, payload } = JSON.parse(data);
    if (type === "pong") return;
    if (type === (this.#options.ready ?? type)) this.#arrived();
    if (type === "chat.message.ack") this.#answer(payload.client_id, ({ resolve }) => resolve(payload));
    if (type === "error" && payload.client_id) this.#answer(payload.client_id, ({ reject }) => reject(new Refused(payload)));
    this.#options.onFrame(type, payload);
  }

  #answer(clientId, give) {
    const asked = this.#asked.get(clientId);
    if (!asked) return;
    clearTimeout(asked.timer);
    this.#asked.delete(clientId);
    give(asked);
  }

  /** The server speaks: only then is it a way (some proxies open a socket and close it). */
  #arrived() {
    if (this.state === "live") return;
    clearTimeout(this.#timers.open);
    this.#stopPolling();
    this.#heardAt = Date.now();
    this.#askedAt = 0;
    this.#timers.steady = setTimeout(() => {
      this.#failures = 0;
      this.#refusals = 0;
    }, STEADY_AFTER_MS);
    this.#become("live");
  }

  #gone(socket, code) {
    if (socket !== this.#socket) return; // one that was dropped before
    this.#socket = null;
    clearTimeout(this.#timers.open);
    clearTimeout(this.#timers.steady);
    for (const clientId of [...this.#asked.keys()]) this.#answer(clientId, ({ reject }) => reject(new Lost(`closed ${code}`)));
    if (this.state === "closed") return;
    if (code in FINAL) return this.#end(FINAL[code], code);
    if (code === 1008 && ++this.#refusals >= POLICY_TRIES) return this.#end("refused", code);
    this.#failed(code);
  }

  #failed(code) {
    this.#failures += 1;
    const ms = pause(code, this.#failures);
    this.#timers.retry = setTimeout(() => this.#connect(), ms);
    if (this.#options.poll && this.#failures >= POLL_AFTER_FAILURES) this.#startPolling();
    if (this.state !== "polling") this.#become("reconnecting", { retryAt: Date.now() + ms });
  }

  /** A socket that says nothing any more: not waited for, its close frame may take minutes. */
  #drop(socket) {
    if (socket !== this.#socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
    this.#gone(socket, 1006);
  }

  #restart() {
    if (this.#socket) this.#drop(this.#socket);
    this.#failures = 0;
    this.retryNow();
  }

  #startPolling() {
    if (this.#polls) return;
    this.#polls = true;
    this.#pollOnce();
  }

  async #pollOnce() {
    let pause = document.hidden ? POLL_HIDDEN_MS : POLL_MS;
    try {
      await this.#options.poll();
      if (this.#polls && this.state !== "polling") this.#become("polling");
    } catch (error) {
      if (error.final) return this.#end(error.code, error.status);
      pause = Math.max(pause, (error.retryAfter ?? 0) * 1000);
      if (this.#polls && this.state === "polling") this.#become("reconnecting", {});
    }
    if (this.#polls) this.#timers.poll = setTimeout(() => this.#pollOnce(), pause);
  }

  #stopPolling() {
    this.#polls = false;
    clearTimeout(this.#timers.poll);
  }

  #watch() {
    const { signal } = this.#watches;
    addEventListener("offline", () => this.#socket && this.#drop(this.#socket), { signal }); // tried again as ever: browsers err
    addEventListener("online", () => (this.state === "live" ? this.#restart() : this.retryNow()), { signal });
    document.addEventListener("visibilitychange", () => !document.hidden && this.retryNow(), { signal });
    let tick = Date.now();
    this.#timers.tick = setInterval(() => {
      const slept = Date.now() - tick > SLEPT_MS;
      tick = Date.now();
      if (this.state !== "live") return;
      if (slept) this.#restart();
      else this.#askIfQuiet();
    }, TICK_MS);
  }

  /** A network that is gone says nothing: the browser would believe in the socket for many minutes. */
  #askIfQuiet() {
    if (Date.now() - this.#heardAt < QUIET_MS) return;
    if (this.#askedAt > this.#heardAt) return this.#restart();
    this.#askedAt = Date.now();
    this.send("ping", {});
  }

  #end(reason, code) {
    if (this.state === "closed") return;
    this.#watches.abort();
    this.#stopPolling();
    clearTimeout(this.#timers.retry);
    clearInterval(this.#timers.tick);
    this.#become("closed", { reason, code });
    this.#socket?.close(1000);
  }

  #become(state, facts = {}) {
    this.state = state;
    this.#options.onState?.(state, facts);
  }
}
