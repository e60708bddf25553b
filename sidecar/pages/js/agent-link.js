// The agent's socket: token first, then every event of the tenant. Comes back by itself, and says how it stands.
// Before it the server, after it agent.js. While no socket stands for a while the page polls (`standing` tells when).

const FIRST_MS = 400;
const MOST_MS = 15000;
const POLL_AFTER_MS = 6000; // without a socket for so long: ask by REST meanwhile
const OPENING_MS = 8000;

export class AgentLink {
  /** `token()`; `opened(agent)`: every event from here on is heard; `standing(word)`: connecting, live, reconnecting, polling. */
  constructor({ token, opened, heard, standing, refused }) {
    Object.assign(this, { token, opened, heard, standing, refused, socket: null, stands: false, tries: 0, timer: 0, pollTimer: 0, stopped: true, ever: false });
    addEventListener("online", () => this.now());
    addEventListener("offline", () => this.drop());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.now(); });
  }

  start() {
    this.stopped = false;
    this.standing("connecting");
    this.expectSoon();
    this.open();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.pollTimer);
    this.drop();
  }

  /** Answers whether a socket took it. What it took may still be lost: only an answer is a promise. */
  send(frame) {
    if (!this.stands || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  /** Something waits for an answer in vain: a line that only looks alive. */
  doubt() { if (this.stands) this.drop(); }

  now() {
    if (this.stopped || this.socket) return;
    this.tries = 0;
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.socket = socket;
    this.timer = setTimeout(() => this.drop(), OPENING_MS);
    socket.onopen = () => socket.send(JSON.stringify({ type: "auth", payload: { token: this.token() } }));
    socket.onmessage = ({ data }) => { if (this.socket === socket) this.take(JSON.parse(data)); };
    socket.onclose = ({ code }) => { if (this.socket === socket) this.lost(code); };
  }

  take({ type, payload = {} }) {
    if (type !== "auth.ok") return this.heard(type, payload);
    clearTimeout(this.timer);
    clearTimeout(this.pollTimer);
    Object.assign(this, { stands: true, tries: 0, ever: true });
    this.standing("live");
    this.opened(payload.agent);
  }

  drop() {
    const { socket } = this;
    if (!socket) return;
    socket.onclose = null;
    socket.close();
    this.lost(0);
  }

  lost(code) {
    const stood = this.stands;
    Object.assign(this, { socket: null, stands: false });
    clearTimeout(this.timer);
    if (this.stopped) return;
    if (code === 4001) return this.refused();
    if (stood) { this.standing("reconnecting"); this.expectSoon(); }
    const most = Math.min(MOST_MS, FIRST_MS * 2 ** this.tries);
    this.tries += 1;
    this.timer = setTimeout(() => this.open(), most / 2 + Math.random() * most / 2);
  }

  expectSoon() {
    clearTimeout(this.pollTimer);
    this.pollTimer = setTimeout(() => this.standing("polling"), POLL_AFTER_MS);
  }
}
