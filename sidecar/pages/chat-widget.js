/* The chat on somebody else's page: one file, nothing else to load, nothing of it leaks into the page or out of it.
 *
 *   <script src="https://chat.example.com/chat-widget.js"></script>
 *   <script>CallCenterChat.init({ apiUrl: "https://chat.example.com", tenantId: "shop" })</script>
 *
 * Options, all optional: apiUrl (where this file came from), tenantId (the only one), primaryColor, position ("right",
 * "left"), title, greeting, locale ("en", "id"; the browser's), theme ("auto", "light", "dark"), name, email and
 * userHash (HMAC-SHA256 of the e-mail with the tenant's secret: proves to agents who it is).
 * CallCenterChat.open(), .close(), .destroy(). A second init while one is there changes nothing.
 */
(() => {
  "use strict";
  const HOME = document.currentScript?.src ? new URL(document.currentScript.src).origin : location.origin;
  if (window.CallCenterChat) return;

  /* --- words */

  const WORDS = {
    en: {
      title: "Chat with us", greeting: "Hi! How can we help?", open: "Open the chat", close: "Close the chat", unread: "{n} unread",
      name: "Your name", email: "E-mail", question: "How can we help?", start: "Start the chat", starting: "Starting…",
      nameMissing: "Please tell us your name.", emailWrong: "Please give an e-mail address like name@example.com.", questionMissing: "Please write what it is about.",
      failed: "The chat could not be started. Please try again in a moment.", tooOften: "Too many tries. Please wait a moment.",
      forbidden: "This page may not start chats here.", notProved: "We could not confirm who you are. Please sign in again.", gone: "That chat is not there any more.",
      loading: "One moment…", online: "We're online", away: "We're away; leave us a message", place: "Place {n} in line", placeOf: "Place {n} of {of} in line", next: "You're next",
      expect: "about {span}", soon: "an agent will be with you soon", awayLine: "Nobody is online. Leave a message: it keeps its place, and the answer comes here.",
      message: "Message", write: "Write a message…", send: "Send", attach: "Attach a file", emoji: "Emoji", person: "Talk to a person", asked: "You asked for a person",
      bot: "Assistant · automatic", typing: "{name} is writing…", sending: "Sending…", uploading: "Uploading…", sent: "Sent", delivered: "Delivered", read: "Read",
      notSent: "Not sent.", tooLarge: "Too large.", badKind: "This kind of file is not allowed.", again: "Try again", remove: "Remove", reconnecting: "Connection lost. Trying again…",
      polling: "Messages arrive a little later here.", end: "End chat", endAsk: "End this chat?", keep: "Keep chatting", ended: "This chat has ended", rate: "How was it?", stars: "{n} of 5",
      rated: "Thank you!", transcript: "Transcript", fresh: "New chat", newest: "To the newest message", you: "You", log: "Conversation", comment: "Anything to add?", rateSend: "Send",
      e_started: "You started the chat", e_assigned: "{name} joined the chat", e_transferred: "{name} took over the chat", e_released: "{name} had to leave; you are back in line", e_ended: "The chat ended",
    },
    id: {
      title: "Hubungi kami", greeting: "Halo! Ada yang bisa kami bantu?", open: "Buka percakapan", close: "Tutup percakapan", unread: "{n} belum dibaca",
      name: "Nama Anda", email: "Email", question: "Ada yang bisa kami bantu?", start: "Mulai percakapan", starting: "Memulai…",
      nameMissing: "Mohon isi nama Anda.", emailWrong: "Mohon isi alamat email seperti nama@contoh.com.", questionMissing: "Mohon tulis pertanyaan Anda.",
      failed: "Percakapan belum bisa dimulai. Silakan coba lagi sebentar lagi.", tooOften: "Terlalu sering. Mohon tunggu sebentar.",
      forbidden: "Halaman ini tidak diizinkan memulai percakapan.", notProved: "Identitas Anda belum bisa dipastikan. Silakan masuk kembali.", gone: "Percakapan itu sudah tidak ada.",
      loading: "Mohon tunggu…", online: "Kami sedang online", away: "Kami sedang offline; tinggalkan pesan", place: "Antrean ke-{n}", placeOf: "Antrean ke-{n} dari {of}", next: "Giliran Anda berikutnya",
      expect: "kira-kira {span}", soon: "Anda akan segera dilayani", awayLine: "Belum ada agen yang online. Tinggalkan pesan: giliran Anda tetap, dan jawabannya akan ada di sini.",
      message: "Pesan", write: "Tulis pesan…", send: "Kirim", attach: "Lampirkan berkas", emoji: "Emoji", person: "Bicara dengan agen", asked: "Anda meminta dilayani agen",
      bot: "Asisten · otomatis", typing: "{name} sedang menulis…", sending: "Mengirim…", uploading: "Mengunggah…", sent: "Terkirim", delivered: "Diterima", read: "Dibaca",
      notSent: "Tidak terkirim.", tooLarge: "Terlalu besar.", badKind: "Jenis berkas ini tidak diizinkan.", again: "Coba lagi", remove: "Hapus", reconnecting: "Koneksi terputus. Mencoba lagi…",
      polling: "Pesan tiba sedikit lebih lambat di sini.", end: "Akhiri", endAsk: "Akhiri percakapan ini?", keep: "Lanjutkan", ended: "Percakapan telah selesai", rate: "Bagaimana layanan kami?", stars: "{n} dari 5",
      rated: "Terima kasih!", transcript: "Transkrip", fresh: "Percakapan baru", newest: "Ke pesan terbaru", you: "Anda", log: "Percakapan", comment: "Ada yang ingin ditambahkan?", rateSend: "Kirim",
      e_started: "Anda memulai percakapan", e_assigned: "{name} bergabung dalam percakapan", e_transferred: "{name} melanjutkan percakapan", e_released: "{name} harus pergi; Anda kembali ke antrean", e_ended: "Percakapan selesai",
    },
  };
  const EMOJIS = "😀 😂 😊 😍 😎 🙂 🤔 😅 😢 😭 😡 😱 👍 👎 👌 🙏 👏 💪 👋 🤝 ❤️ 🔥 🎉 ✅".split(" ");
  const ICONS = {
    chat: "M20.5 11.5a7.8 7.8 0 0 1-8.200 7.500 9 9 0 0 1-3.100-.500L4 20l1.400-4a7 7 0 0 1-1.900-4.500C3.500 7.400 7.200 4 12 4s8.500 3.400 8.500 7.500Z",
    close: "m6 6 12 12M18 6 6 18",
    down: "m5 9 7 7 7-7",
    send: "M5 12 3.600 4.600a.6.6 0 0 1 .860-.650L20.300 11.500a.55.55 0 0 1 0 1L4.460 20.050a.6.6 0 0 1-.860-.650L5 12Zm0 0h7",
    clip: "m20 11.200-8.300 8.300a5.200 5.200 0 0 1-7.400-7.400l8.400-8.300a3.500 3.500 0 0 1 4.900 4.900l-8.300 8.300a1.750 1.750 0 0 1-2.500-2.500l7.700-7.600",
    smile: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM8.500 14.200a4.200 4.200 0 0 0 7 0M9 9.500h.01M15 9.500h.01",
    bot: "M7.500 8h9a3 3 0 0 1 3 3v5a3 3 0 0 1-3 3h-9a3 3 0 0 1-3-3v-5a3 3 0 0 1 3-3ZM12 8V4.500M9.500 13h.01M14.500 13h.01",
    file: "M13.500 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8.500L13.500 3Zm0 0v5.500H19",
    star: "m12 3.600 2.600 5.300 5.800.800-4.200 4.100 1 5.800-5.200-2.700-5.200 2.700 1-5.800-4.200-4.100 5.800-.800L12 3.600Z",
    sent: "m5 12.500 4.500 4.500L19 7.500",
    seen: "m2 12.500 4.500 4.500L15 8.500M11.500 16l1 1L22 7.500",
  };

  /* --- making nodes: text only ever becomes text */

  const SVG = "http://www.w3.org/2000/svg";
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (name === "text") node.textContent = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }
  function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    const path = document.createElementNS(SVG, "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }
  function linked(text) {
    const nodes = document.createDocumentFragment();
    let from = 0;
    for (const found of text.matchAll(/\bhttps?:\/\/[^\s<>"'`]+/giu)) {
      const address = found[0].replace(/[.,;:!?…)]+$/u, "");
      if (!URL.canParse(address)) continue;
      nodes.append(text.slice(from, found.index), make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow", text: address }));
      from = found.index + address.length;
    }
    nodes.append(text.slice(from));
    return nodes;
  }
  function reconcile(list, wanted) {
    const present = new Map([...list.children].map((node) => [node.dataset.key, node]));
    const placed = new Set();
    let at = list.firstElementChild;
    for (const item of wanted) {
      if (placed.has(item.key)) continue;
      placed.add(item.key);
      let node = present.get(item.key);
      if (node?.dataset.sign !== item.sign) {
        const fresh = item.make();
        Object.assign(fresh.dataset, { key: item.key, sign: item.sign });
        if (node && node === at) at = at.nextElementSibling;
        node?.remove();
        node = fresh;
      }
      if (node === at) at = at.nextElementSibling;
      else list.insertBefore(node, at);
    }
    for (const [key, node] of present) if (!placed.has(key)) node.remove();
  }

  /* --- the server */

  class NotAnswered extends Error {
    constructor(status, error = {}, retryAfter = 0) {
      super(error.message ?? "no answer");
      Object.assign(this, { status, code: error.code ?? "unreachable", retryAfter });
    }
  }
  const PASSES = new Set(["rate_limited", "unavailable", "unreachable", "lost"]);
  const clientId = () => `w${[...crypto.getRandomValues(new Uint8Array(10))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const read = (status, retryAfter, text) => {
    let answer = null;
    try {
      answer = text ? JSON.parse(text) : null;
    } catch {
      throw new NotAnswered(status);
    }
    if (status >= 200 && status < 300) return answer;
    throw new NotAnswered(status, answer?.error, Number(retryAfter) || 0);
  };

  class Server {
    constructor(apiUrl) {
      this.base = new URL("/api/v1/", apiUrl).href;
    }

    async ask(method, path, json) {
      let answer;
      try {
        const body = json === undefined ? {} : { body: JSON.stringify(json), headers: { "content-type": "application/json" } };
        answer = await fetch(this.base + path, { method, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(20_000), ...body });
      } catch {
        throw new NotAnswered(0);
      }
      return read(answer.status, answer.headers.get("retry-after"), await answer.text().catch(() => ""));
    }

    upload(path, file, id, onShare) {
      return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        const form = new FormData();
        form.append("client_id", id);
        form.append("file", file, file.name);
        request.upload.onprogress = ({ loaded, total }) => onShare(loaded / total);
        request.onerror = () => reject(new NotAnswered(0));
        request.onload = () => {
          try {
            resolve(read(request.status, request.getResponseHeader("retry-after"), request.responseText));
          } catch (error) {
            reject(error);
          }
        };
        request.open("POST", this.base + path);
        request.send(form);
      });
    }

    socket(path) {
      const url = new URL(path, this.base);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      return new WebSocket(url);
    }
  }

  /* --- one session: its rows in order, the way to send, the socket that comes back, polling where there is none */

  const FIRST_MS = 500, LONGEST_MS = 15_000, OPEN_MS = 6000, ANSWER_MS = 10_000, POLL_MS = 2000, QUIET_MS = 20_000, HOLE_MS = 1500, TYPING_MS = 6000, STEADY_MS = 5000;
  const FINAL = new Set([4001, 4404]);

  class Room {
    rows = [];
    early = new Map();
    letters = [];
    marks = { got: 0, read: 0 };
    place = {};
    agentsOnline = null;
    rating = null;
    typing = "";
    state = "connecting";
    #failures = 0;
    #refusals = 0;
    #timers = {};
    #asked = null;
    #sending = false;
    #heardAt = 0;
    #pingAt = 0;
    #readTold = 0;
    #typingTold = 0;

    constructor(server, key, store, { changed, gone }) {
      Object.assign(this, { server, key, store, changed, gone, path: `public/sessions/${encodeURIComponent(key)}` });
      this.letters = store.get("outbox") ?? [];
    }

    get last() {
      return this.rows.at(-1)?.seq ?? 0;
    }

    get now() {
      const now = { status: "waiting", agent: null };
      for (const { event } of this.rows) {
        if (event?.type === "assigned" || event?.type === "transferred") Object.assign(now, { status: "active", agent: event.name });
        else if (event?.type === "released") Object.assign(now, { status: "waiting", agent: null });
        else if (event?.type === "ended") now.status = "ended";
      }
      return now;
    }

    async open() {
      await this.load();
      this.#connect();
      this.#timers.tick = setInterval(() => this.#tick(), 5000);
      this.online = () => this.retry();
      addEventListener("online", this.online);
    }

    close() {
      this.state = "closed";
      removeEventListener("online", this.online);
      for (const timer of Object.values(this.#timers)) clearTimeout(timer);
      this.socket?.close(1000);
    }

    /** The first load; also for a page that lost its place. Rows that came meanwhile are kept. */
    async load() {
      const rows = [];
      let answer;
      do {
        answer = await this.server.ask("GET", `${this.path}?after=${rows.at(-1)?.seq ?? 0}`);
        rows.push(...answer.messages);
      } while (answer.more && answer.messages.length);
      const meanwhile = [...this.rows, ...this.early.values()];
      this.rows = [];
      this.early.clear();
      for (const row of [...rows, ...meanwhile]) this.add(row);
      this.#take(answer);
    }

    add(row) {
      if (row.client_id) this.settle(row.client_id);
      if (row.seq <= this.last) return;
      this.early.set(row.seq, row);
      for (let next = this.last + 1; this.early.has(next); next += 1) {
        this.rows.push(this.early.get(next));
        this.early.delete(next);
      }
      if (row.sender_type === "agent") this.typing = "";
      if (this.early.size) this.#timers.hole ??= setTimeout(() => this.#mend(), HOLE_MS);
    }

    say(body) {
      this.letters.push({ client_id: clientId(), body });
      this.#kept();
      this.kick();
    }

    async send(file, letter = { client_id: clientId(), file, share: 0 }) {
      delete letter.failed;
      if (!this.letters.includes(letter)) this.letters.push(letter);
      this.changed();
      try {
        this.add({ client_id: letter.client_id, ...(await this.server.upload(`${this.path}/attachments`, file, letter.client_id, (share) => letter.onShare?.((letter.share = share)))) });
        this.settle(letter.client_id);
      } catch (error) {
        letter.failed = { 413: "tooLarge", 415: "badKind" }[error.status] ?? "notSent";
      }
      this.changed();
    }

    again(letter) {
      if (letter.file) return this.send(letter.file, letter);
      delete letter.failed;
      this.#kept();
      this.kick();
    }

    settle(id) {
      const before = this.letters.length;
      this.letters = this.letters.filter((letter) => letter.client_id !== id);
      if (this.letters.length !== before) this.#kept();
    }

    /** One letter at a time, so that a retry never overtakes; the same client_id makes the repetition harmless. */
    async kick() {
      if (this.#sending) return;
      this.#sending = true;
      clearTimeout(this.#timers.again);
      try {
        for (let letter; (letter = this.letters.find((one) => !one.file && !one.failed)); ) {
          const { id, seq, created_at } = await this.#deliver(letter);
          this.add({ id, seq, created_at, body: letter.body, client_id: letter.client_id, sender_type: "customer", sender_name: "", attachments: [] });
          this.settle(letter.client_id);
          this.changed();
        }
      } catch ({ letter, error }) {
        if (PASSES.has(error.code)) this.#timers.again = setTimeout(() => this.kick(), Math.max(2000, (error.retryAfter ?? 0) * 1000) * (1 + Math.random() / 4));
        else letter.failed = "notSent";
        this.#kept();
      } finally {
        this.#sending = false;
      }
    }

    async #deliver(letter) {
      try {
        if (this.state === "live") return await this.#request(letter);
        if (this.state === "polling") return await this.server.ask("POST", `${this.path}/messages`, { client_id: letter.client_id, body: letter.body });
        throw { code: "lost" };
      } catch (error) {
        throw { letter, error };
      }
    }

    #request({ client_id, body }) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => this.#drop(), ANSWER_MS);
        this.#asked = { client_id, resolve, reject, timer };
        if (!this.tell("chat.message.send", { client_id, body })) this.#answer("reject", { code: "lost" });
      });
    }

    #answer(how, what) {
      const asked = this.#asked;
      this.#asked = null;
      clearTimeout(asked?.timer);
      asked?.[how](what);
    }

    tell(type, payload = {}) {
      if (this.state !== "live" || this.socket?.readyState !== WebSocket.OPEN) return false;
      this.socket.send(JSON.stringify({ type, payload }));
      return true;
    }

    typed() {
      if (Date.now() - this.#typingTold > 3000 && this.tell("chat.typing", { is_typing: true })) this.#typingTold = Date.now();
    }

    untyped() {
      if (this.#typingTold) this.tell("chat.typing", { is_typing: false });
      this.#typingTold = 0;
    }

    seen() {
      const upTo = this.last;
      if (upTo <= this.#readTold) return;
      if (this.tell("chat.message.read", { up_to_seq: upTo })) this.#readTold = upTo;
      else if (this.state === "polling") {
        this.#readTold = upTo;
        this.server.ask("POST", `${this.path}/read`, { up_to_seq: upTo }).catch(() => (this.#readTold = 0));
      }
    }

    async end() {
      await this.server.ask("POST", `${this.path}/end`, {});
      if (this.state !== "live") await this.#fetchNew();
    }

    async rate(rating, comment) {
      await this.server.ask("POST", `${this.path}/rating`, { rating, ...(comment ? { comment } : {}) });
      this.rating = rating;
      this.changed();
    }

    retry() {
      if (this.state === "live") return this.#drop();
      if (this.state === "closed" || this.socket) return;
      clearTimeout(this.#timers.retry);
      this.#connect();
    }

    #connect() {
      try {
        this.socket = this.server.socket(`/ws/public/${encodeURIComponent(this.key)}?after=${this.last}`);
      } catch {
        return this.#failed();
      }
      const { socket } = this;
      this.#timers.open = setTimeout(() => this.#drop(), OPEN_MS);
      socket.onmessage = ({ data }) => socket === this.socket && this.#heard(JSON.parse(data));
      socket.onclose = ({ code }) => socket === this.socket && this.#gone(code);
    }

    /** The server speaks: only then is it a way (some proxies open a socket and close it). */
    #arrived() {
      clearTimeout(this.#timers.open);
      clearTimeout(this.#timers.poll);
      this.#timers.poll = null;
      this.#timers.steady = setTimeout(() => (this.#failures = this.#refusals = 0), STEADY_MS);
      this.#heardAt = Date.now();
      this.state = "live";
      this.changed();
      this.kick();
    }

    #heard({ type, payload }) {
      if (this.state !== "live") this.#arrived();
      this.#heardAt = Date.now();
      if (type === "chat.message.new") this.add(payload);
      else if (type === "chat.message.ack" && payload.client_id === this.#asked?.client_id) this.#answer("resolve", payload);
      else if (type === "error" && payload.client_id && payload.client_id === this.#asked?.client_id) this.#answer("reject", { code: payload.code, retryAfter: payload.retry_after });
      else if (type === "chat.queue.position") this.#stands(payload);
      else if (type === "chat.message.read" && payload.by !== "customer") this.marks.read = Math.max(this.marks.read, payload.up_to_seq);
      else if (type === "chat.message.delivered" && payload.by !== "customer") this.marks.got = Math.max(this.marks.got, payload.up_to_seq);
      else if (type === "chat.typing" && payload.by !== "customer") this.#writes(payload);
      else return;
      this.changed();
    }

    #writes({ is_typing, name }) {
      this.typing = is_typing ? name || "…" : "";
      clearTimeout(this.#timers.typing);
      this.#timers.typing = setTimeout(() => ((this.typing = ""), this.changed()), TYPING_MS);
    }

    #drop() {
      const { socket } = this;
      if (!socket) return;
      socket.onclose = socket.onmessage = null;
      socket.close();
      this.#gone(1006);
    }

    #gone(code) {
      this.socket = null;
      clearTimeout(this.#timers.open);
      clearTimeout(this.#timers.steady);
      this.typing = "";
      if (this.state !== "closed" && this.state !== "polling") this.state = "reconnecting";
      this.#answer("reject", { code: "lost" });
      if (this.state === "closed") return;
      if (FINAL.has(code)) return this.gone();
      if (code === 1008 && ++this.#refusals > 2) return this.close();
      this.#failed(code);
    }

    #failed(code) {
      this.#failures += 1;
      if (this.state !== "polling") this.state = "reconnecting";
      const tries = code === 1013 ? 1 : this.#failures + (code === 1008 ? 3 : 0);
      this.#timers.retry = setTimeout(() => this.#connect(), Math.min(LONGEST_MS, FIRST_MS * 2 ** (tries - 1)) * (0.5 + Math.random() / 2));
      if (this.#failures >= 2 && !this.#timers.poll) this.#poll();
      this.changed();
    }

    async #poll() {
      this.#timers.poll = -1;
      let pause = document.hidden ? 4 * POLL_MS : POLL_MS;
      try {
        await this.#fetchNew();
        if (this.#timers.poll && this.state === "reconnecting") {
          this.state = "polling";
          this.kick();
        }
      } catch (error) {
        if (error.status === 404) return this.gone();
        pause = Math.max(pause, (error.retryAfter ?? 0) * 1000);
        if (this.state === "polling") this.state = "reconnecting";
      }
      if (this.#timers.poll) this.#timers.poll = setTimeout(() => this.#poll(), pause);
      this.changed();
    }

    async #fetchNew() {
      let answer;
      do {
        answer = await this.server.ask("GET", `${this.path}?after=${this.last}`);
        for (const row of answer.messages) this.add(row);
      } while (answer.more && answer.messages.length);
      this.#take(answer);
      this.changed();
    }

    #stands({ position, waiting, eta_seconds, agents_online }) {
      this.place = { position, waiting, eta_seconds };
      this.agentsOnline = agents_online ?? null;
    }

    #take({ session_id, agent_got, agent_read, rating, ...place }) {
      this.id = session_id;
      this.#stands(place);
      this.rating = rating ?? this.rating;
      this.marks = { got: Math.max(this.marks.got, agent_got ?? 0), read: Math.max(this.marks.read, agent_read ?? 0) };
    }

    async #mend() {
      this.#timers.hole = undefined;
      if (!this.early.size) return;
      try {
        await this.load();
        this.changed();
      } catch {
        this.#timers.hole = setTimeout(() => this.#mend(), HOLE_MS);
      }
    }

    #tick() {
      if (this.state !== "live" || Date.now() - this.#heardAt < QUIET_MS) return;
      if (this.#pingAt > this.#heardAt) return this.#drop();
      this.#pingAt = Date.now();
      this.tell("ping");
    }

    #kept() {
      this.store.put("outbox", this.letters.filter((letter) => !letter.file));
      this.changed();
    }
  }

  /* --- what is kept in the browser, under the host page's origin */

  class Store {
    constructor(name) {
      this.name = name;
    }

    all() {
      try {
        return JSON.parse(localStorage.getItem(this.name) ?? "{}") ?? {};
      } catch {
        return this.memory ?? {};
      }
    }

    get(key) {
      return this.all()[key];
    }

    put(key, value) {
      const all = { ...this.all(), [key]: value };
      try {
        localStorage.setItem(this.name, JSON.stringify(all));
      } catch {
        this.memory = all; // storage may be forbidden: as long as the page
      }
    }
  }

  /* --- colours: the accent that was wished for, made readable */

  const toRgb = (color) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, two) => {
    const [high, low] = [light(one), light(two)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const WHITE = [255, 255, 255], DARK = [14, 22, 20];
  const css = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`;
  function readable(rgb, ground, towards) {
    for (let share = 0; share <= 1; share += 0.05) {
      const mixed = rgb.map((part, index) => part + (towards[index] - part) * share);
      if (contrast(mixed, ground) >= 4.5) return mixed;
    }
    return towards;
  }

  /* --- the look */

  const STYLE = `
:host { --ground: light-dark(#fff, #151c1a); --sunk: light-dark(#f0f3f2, #202a28); --edge: light-dark(#e3e7e5, #2a3532);
  --strong: light-dark(#869390, #6b7a75); --text: light-dark(#16201d, #e8efec); --soft: light-dark(#56635f, #a0b0ab); --bad: light-dark(#b42318, #ff8f80);
  --bot: light-dark(#eef1fb, #1d2336); --bot-text: light-dark(#3a479e, #b3befa); --ink: light-dark(var(--ink-day), var(--ink-night)); }
* { box-sizing: border-box; margin: 0 } [hidden] { display: none !important }
.all { font: 400 15px/1.45 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; color: var(--text); text-align: start; -webkit-font-smoothing: antialiased }
button, input, textarea { font: inherit; color: inherit }
button { cursor: pointer; border: 0; background: none; padding: 0 }
svg { width: 22px; height: 22px; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; flex: none; display: block }
:focus-visible { outline: 2px solid var(--ink); outline-offset: 2px }
a { color: inherit }
.launcher { position: fixed; bottom: 20px; inset-inline-end: 20px; width: 60px; height: 60px; border-radius: 50%; display: grid; place-items: center; background: var(--accent); color: var(--on-accent); box-shadow: 0 2px 6px rgb(0 0 0 / 18%), 0 12px 32px rgb(0 0 0 / 22%); transition: transform .16s ease-out }
.launcher:hover { transform: scale(1.06) } .launcher svg { width: 28px; height: 28px }
.launcher:focus-visible { outline: 3px solid var(--ground); box-shadow: 0 0 0 6px var(--accent) }
.badge { position: absolute; top: -2px; inset-inline-end: -2px; min-width: 22px; height: 22px; padding: 0 6px; border-radius: 99px; background: #c4281b; color: #fff; font-size: 12px; font-weight: 700; line-height: 22px; text-align: center }
.panel { position: fixed; bottom: 92px; inset-inline-end: 20px; width: 384px; max-width: calc(100vw - 40px); height: min(640px, calc(100dvh - 112px)); display: flex; flex-direction: column; background: var(--ground); border: 1px solid var(--edge); border-radius: 18px; overflow: hidden; box-shadow: 0 4px 12px rgb(0 0 0 / 10%), 0 24px 64px rgb(0 0 0 / 24%); transform-origin: bottom right; animation: in .18s cubic-bezier(.2,.8,.2,1) }
.left .launcher, .left .panel { inset-inline: 20px auto } .left .panel { transform-origin: bottom left }
@keyframes in { from { opacity: 0; transform: translateY(12px) scale(.98) } }
header { display: flex; align-items: center; gap: 12px; padding: 14px 12px 14px 18px; background: var(--accent); color: var(--on-accent) }
header div { flex: 1; min-width: 0 } h2 { font-size: 16px; font-weight: 650; line-height: 1.3; letter-spacing: -.01em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
header p { font-size: 13px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
header .face { width: 38px; height: 38px; border-radius: 50%; display: grid; place-items: center; flex: none; background: color-mix(in srgb, var(--on-accent) 16%, transparent); font-weight: 650; font-size: 14px }
header button { width: 36px; height: 36px; border-radius: 10px; display: grid; place-items: center } header button:hover { background: color-mix(in srgb, var(--on-accent) 16%, transparent) }
header :focus-visible { outline-color: var(--on-accent) }
header .end { width: auto; padding: 0 10px; font-size: 13px; font-weight: 560; white-space: nowrap }
.note { padding: 7px 16px; font-size: 13px; background: light-dark(#fdf1dc, #36280f); color: light-dark(#87490a, #f1b659) }
.scroll { flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; position: relative; display: flex; flex-direction: column; scrollbar-width: thin }
.line { position: sticky; top: 8px; z-index: 2; margin: 12px 14px 0; padding: 10px 14px; border-radius: 12px; background: color-mix(in srgb, var(--accent) 12%, var(--ground)); font-size: 13px } .line b { display: block; font-size: 14px; font-weight: 650 }
.log { flex: 1 0 auto; display: flex; flex-direction: column; justify-content: flex-end; padding: 14px }
.hi { align-self: flex-start; max-width: 84%; padding: 9px 14px; border-radius: 16px 16px 16px 5px; background: var(--sunk); white-space: pre-wrap; overflow-wrap: anywhere }
.what { align-self: center; margin: 10px 0; padding: 2px 10px; border-radius: 99px; background: var(--sunk); color: var(--soft); font-size: 12px; text-align: center; overflow-wrap: anywhere }
.row { display: grid; gap: 3px; max-width: 84%; margin-top: 3px; align-self: flex-start; justify-items: start } .row.first { margin-top: 12px }
.row.mine { align-self: flex-end; justify-items: end }
.by { font-size: 12px; color: var(--soft); padding: 0 12px; font-weight: 560 } .row.bot .by { color: var(--bot-text); display: flex; gap: 5px; align-items: center } .by svg { width: 15px; height: 15px }
.text { padding: 9px 13px; border-radius: 16px 16px 16px 5px; background: var(--sunk); white-space: pre-wrap; overflow-wrap: anywhere; max-width: 100% }
.mine .text { background: var(--accent); color: var(--on-accent); border-radius: 16px 16px 5px 16px } .bot .text { background: var(--bot) }
.unsent .text { opacity: .7 } .failed .text { background: var(--sunk); color: var(--bad); opacity: 1 }
.foot { display: flex; gap: 4px; align-items: center; padding: 0 6px; font-size: 11px; color: var(--soft) } .foot svg { width: 14px; height: 14px } .foot .seen { color: var(--ink) } .failed .foot { color: var(--bad) } .foot button { text-decoration: underline; font-weight: 600; min-height: 24px; padding: 0 3px }
.pic { display: block; border-radius: 13px; overflow: hidden; background: var(--sunk) } .pic img { display: block; max-width: 220px; max-height: 200px; min-width: 60px; min-height: 40px; object-fit: cover }
.file { display: flex; align-items: center; gap: 10px; position: relative; overflow: hidden; width: 220px; max-width: 100%; padding: 9px 12px; border: 1px solid var(--edge); border-radius: 13px; text-decoration: none; background: var(--ground); color: var(--text); text-align: start } .file span { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 14px; font-weight: 540 } .file svg { color: var(--ink) }
progress { position: absolute; left: 0; bottom: 0; width: 100%; height: 3px; appearance: none; border: 0; background: var(--edge) } progress::-webkit-progress-bar { background: var(--edge) } progress::-webkit-progress-value { background: var(--ink) } progress::-moz-progress-bar { background: var(--ink) }
.typing { min-height: 20px; padding: 0 18px 2px; font-size: 12px; color: var(--soft) }
.newest { position: absolute; bottom: 78px; left: 50%; margin-left: -18px; width: 36px; height: 36px; border-radius: 50%; display: grid; place-items: center; background: var(--ground); border: 1px solid var(--edge); box-shadow: 0 4px 16px rgb(0 0 0 / 16%) } .newest svg { width: 18px; height: 18px }
.offer { margin: 0 14px 8px; align-self: flex-start; padding: 6px 14px; border-radius: 99px; border: 1px solid color-mix(in srgb, var(--ink) 50%, transparent); color: var(--ink); font-size: 13px; font-weight: 580 }
.write { display: flex; align-items: flex-end; gap: 4px; padding: 8px 10px 10px; padding-bottom: max(10px, env(safe-area-inset-bottom)); border-top: 1px solid var(--edge); position: relative }
.write textarea { flex: 1; min-width: 0; resize: none; border: 1px solid var(--strong); border-radius: 19px; padding: 8px 14px; max-height: 120px; line-height: 1.4; background: var(--ground) }
textarea:focus-visible, input:focus-visible { outline: 2px solid var(--ink); outline-offset: -1px }
::placeholder { color: var(--soft); opacity: 1 }
.round { width: 38px; height: 38px; border-radius: 50%; display: grid; place-items: center; color: var(--soft); flex: none } .round:hover { background: var(--sunk) } .round.go { background: var(--accent); color: var(--on-accent) } .round svg { width: 20px; height: 20px }
.emojis { position: absolute; bottom: calc(100% + 4px); inset-inline: 10px; display: grid; grid-template-columns: repeat(8, 1fr); padding: 6px; background: var(--ground); border: 1px solid var(--edge); border-radius: 14px; box-shadow: 0 8px 32px rgb(0 0 0 / 18%) } .emojis button { height: 38px; font: 20px "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji", sans-serif; border-radius: 8px } .emojis button:hover { background: var(--sunk) }
.start { display: grid; gap: 12px; padding: 4px 18px 18px; align-content: start } label { display: grid; gap: 4px; font-size: 13px; font-weight: 560 }
.start input, .start textarea, .over textarea { width: 100%; min-height: 42px; padding: 9px 12px; border: 1px solid var(--strong); border-radius: 10px; background: var(--ground); font-size: 15px; font-weight: 400; resize: vertical }
.wrong { color: var(--bad); font-size: 13px; font-weight: 400 } [aria-invalid=true] { border-color: var(--bad) !important }
.main { min-height: 44px; padding: 0 18px; border-radius: 11px; background: var(--accent); color: var(--on-accent); font-weight: 620 } .main:disabled { opacity: .6 }
.plain { min-height: 38px; padding: 0 14px; border-radius: 10px; border: 1px solid var(--edge); font-size: 14px; font-weight: 560; text-decoration: none; display: inline-grid; place-items: center } .plain:hover { background: var(--sunk) }
.over { display: grid; gap: 10px; justify-items: center; padding: 18px; border-top: 1px solid var(--edge); text-align: center } .over b { font-weight: 640 } .over form { display: grid; gap: 10px; justify-items: center; width: 100% }
.stars { display: flex; border: 0; padding: 0 } .stars legend { width: 100%; color: var(--soft); font-size: 14px; margin-bottom: 4px; text-align: center } .stars label { position: relative; padding: 4px; cursor: pointer; border-radius: 8px } .stars label:focus-within { outline: 2px solid var(--ink) } .stars input { position: absolute; opacity: 0; width: 1px; height: 1px } .stars svg { width: 30px; height: 30px; color: var(--strong) } .stars .lit svg { fill: #f0a81c; color: light-dark(#c47d08, #f1b659) }
.buttons { display: flex; gap: 8px; flex-wrap: wrap; justify-content: center }
.ask { position: absolute; inset: 0; z-index: 5; display: grid; place-items: center; background: light-dark(rgb(16 24 22 / 42%), rgb(0 0 0 / 60%)); padding: 20px } .ask > div { display: grid; gap: 16px; padding: 20px; border-radius: 16px; background: var(--ground); text-align: center; font-weight: 620 }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.wait { flex: 1; display: grid; place-items: center; color: var(--soft) }
@media (max-width: 480px) { .panel, .left .panel { inset: 0; width: auto; max-width: none; height: 100dvh; border: 0; border-radius: 0 } .launcher.over-phone { display: none } .write textarea, .start input, .start textarea, .over textarea { font-size: 16px } header { padding-top: max(14px, env(safe-area-inset-top)) } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important } }
`;

  const PHONE = matchMedia("(max-width: 480px)");
  const PERSON = "/person";
  const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/u;
  const initials = (name) => (name.trim().match(/(^|\s)\S/gu) ?? ["?"]).map((part) => part.trim()).slice(0, 2).join("").toUpperCase();

  class Widget {
    #unread = 0;
    #drawing = 0;
    #known = 0;
    #read = new AbortController();

    constructor(options) {
      this.options = options;
      this.server = new Server(options.apiUrl ?? HOME);
      const locale = String(options.locale ?? document.documentElement.lang ?? navigator.language).slice(0, 2).toLowerCase();
      this.language = locale in WORDS ? locale : (navigator.language ?? "en").startsWith("id") ? "id" : "en";
      this.store = new Store(`callcenter-chat ${this.server.base} ${options.tenantId ?? ""}`);
      this.#build();
      const key = this.store.get("key");
      if (key) this.#resume(key);
      this.server.ask("GET", `public/desk${options.tenantId ? `?tenant_id=${encodeURIComponent(options.tenantId)}` : ""}`).then((desk) => ((this.desk = desk), this.#soon()), () => null);
    }

    t(key, facts = {}) {
      return (WORDS[this.language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? "");
    }

    get isOpen() {
      return !this.panel.hidden;
    }

    open() {
      if (this.isOpen) return;
      this.panel.hidden = false;
      this.launcher.setAttribute("aria-expanded", "true");
      this.launcher.classList.add("over-phone");
      this.#phone();
      this.#draw();
      this.#toBottom();
      this.#focusFirst();
    }

    close() {
      if (!this.isOpen) return;
      const inside = this.root.activeElement;
      this.panel.hidden = true;
      this.launcher.setAttribute("aria-expanded", "false");
      this.launcher.classList.remove("over-phone");
      this.#phone();
      this.#drawLauncher();
      if (inside) this.launcher.focus();
    }

    destroy() {
      this.close();
      this.room?.close();
      this.#read.abort();
      this.host.remove();
    }

    /* building */

    #build() {
      const { options } = this;
      this.host = make("div", { id: "callcenter-chat", lang: this.language });
      const scheme = { light: "light", dark: "dark" }[options.theme] ?? "light dark";
      const own = { all: "initial", position: "fixed", "z-index": "2147483000", inset: "auto 0 0 auto", "color-scheme": scheme };
      for (const [name, value] of Object.entries(own)) this.host.style.setProperty(name, value, "important"); // whatever the page says of its divs
      this.root = this.host.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      this.root.adoptedStyleSheets = [sheet];
      this.#colours(options.primaryColor);

      this.badge = make("span", { class: "badge", hidden: true });
      this.launcher = make("button", { type: "button", class: "launcher", "aria-expanded": "false", "aria-haspopup": "dialog", onclick: () => (this.isOpen ? this.close() : this.open()) }, icon("chat"), this.badge);
      this.face = make("span", { class: "face", "aria-hidden": "true" });
      this.heading = make("h2", { id: "title" });
      this.under = make("p", {});
      this.endButton = make("button", { type: "button", class: "end", text: this.t("end"), onclick: () => this.#askEnd() });
      const closeButton = make("button", { type: "button", "aria-label": this.t("close"), title: this.t("close"), onclick: () => this.close() }, icon("close"));
      this.note = make("p", { class: "note", role: "status", hidden: true });
      this.line = make("div", { class: "line", role: "status", hidden: true });
      this.hi = make("p", { class: "hi" });
      this.log = make("div", { role: "log", "aria-live": "polite", "aria-label": this.t("log") });
      this.log.style.cssText = "display: contents";
      this.scroll = make("div", { class: "scroll", tabindex: "-1" }, this.line, make("div", { class: "log" }, this.hi, this.log), this.#startForm(), this.#over());
      this.typing = make("div", { class: "typing", "aria-live": "polite" });
      this.newest = make("button", { type: "button", class: "newest", "aria-label": this.t("newest"), hidden: true, onclick: () => this.#toBottom() }, icon("down"));
      this.offer = make("button", { type: "button", class: "offer", text: this.t("person"), hidden: true, onclick: () => this.room.say(PERSON) });
      this.panel = make("section", { class: "panel", role: "dialog", "aria-labelledby": "title", hidden: true }, make("header", {}, this.face, make("div", {}, this.heading, this.under), this.endButton, closeButton), this.note, this.scroll, this.typing, this.newest, this.offer, this.#composer());
      this.root.append(make("div", { class: `all${/left/.test(options.position ?? "") ? " left" : ""}` }, this.panel, this.launcher));
      document.body.append(this.host);

      const { signal } = this.#read;
      this.root.addEventListener("keydown", (event) => this.#key(event));
      this.scroll.addEventListener("scroll", () => this.#saw(), { passive: true });
      document.addEventListener("visibilitychange", () => this.#soon(), { signal });
      PHONE.addEventListener("change", () => this.#phone(), { signal });
      new ResizeObserver(() => this.#stuck && this.#toBottom()).observe(this.scroll);
      this.#draw();
    }

    #colours(wish) {
      const rgb = toRgb(wish && CSS.supports("color", wish) ? wish : "#0f766e");
      const on = contrast(rgb, WHITE) >= contrast(rgb, DARK) || contrast(rgb, WHITE) >= 4.5 ? WHITE : DARK;
      const set = (name, value) => this.host.style.setProperty(name, value);
      set("--accent", css(readable(rgb, on, on === WHITE ? [0, 0, 0] : WHITE)));
      set("--on-accent", css(on));
      set("--ink-day", css(readable(rgb, [240, 243, 242], [0, 0, 0])));
      set("--ink-night", css(readable(rgb, [32, 42, 40], WHITE)));
    }

    #startForm() {
      const { name, email } = this.options;
      const field = (key, control) => make("label", {}, this.t(key), control, make("small", { class: "wrong", role: "alert", hidden: true }));
      this.fields = {
        name: make("input", { name: "name", autocomplete: "name", maxlength: 100 }),
        email: make("input", { name: "email", type: "email", autocomplete: "email", maxlength: 254 }),
        message: make("textarea", { name: "message", rows: 3, maxlength: 10000 }),
      };
      this.fields.name.value = name ?? this.store.get("name") ?? "";
      this.fields.email.value = email ?? this.store.get("email") ?? "";
      this.trouble = make("p", { class: "wrong", role: "alert", hidden: true });
      this.startButton = make("button", { type: "submit", class: "main", text: this.t("start") });
      const known = name && email;
      this.start = make("form", { class: "start", novalidate: true }, this.trouble, known ? null : field("name", this.fields.name), known ? null : field("email", this.fields.email), field("question", this.fields.message), this.startButton);
      this.start.addEventListener("submit", (event) => (event.preventDefault(), this.#begin()));
      return this.start;
    }

    #composer() {
      this.text = make("textarea", { rows: 1, maxlength: 10000, "aria-label": this.t("message"), placeholder: this.t("write"), enterkeyhint: "send" });
      const files = make("input", { type: "file", multiple: true, hidden: true });
      const round = (name, label, onclick, more = {}) => make("button", { type: "button", class: "round", "aria-label": this.t(label), title: this.t(label), onclick, ...more }, icon(name));
      const emojis = make("div", { class: "emojis", role: "group", "aria-label": this.t("emoji"), hidden: true }, ...EMOJIS.map((emoji) => make("button", { type: "button", text: emoji, onclick: () => insert(emoji) })));
      const emojiButton = round("smile", "emoji", () => showEmojis(emojis.hidden), { "aria-expanded": "false" });
      const showEmojis = (on) => ((emojis.hidden = !on), emojiButton.setAttribute("aria-expanded", String(on)), on ? emojis.firstChild.focus() : this.text.focus());
      const insert = (emoji) => (this.text.setRangeText(emoji, this.text.selectionStart, this.text.selectionEnd, "end"), showEmojis(false));
      emojis.addEventListener("keydown", (event) => event.key === "Escape" && (event.stopPropagation(), showEmojis(false)));
      const send = () => {
        const body = this.text.value.trim();
        if (!body) return;
        this.text.value = "";
        this.#grow();
        this.room.untyped();
        this.room.say(body);
        this.#toBottom();
      };
      const take = (list) => [...list].forEach((file) => (this.room.send(file), this.#toBottom()));
      files.addEventListener("change", () => (take(files.files), (files.value = "")));
      this.text.addEventListener("paste", (event) => event.clipboardData?.files.length && (event.preventDefault(), take(event.clipboardData.files)));
      this.text.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && (event.preventDefault(), send()));
      this.text.addEventListener("input", () => (this.#grow(), this.text.value.trim() ? this.room.typed() : this.room.untyped()));
      this.writing = make("form", { class: "write", hidden: true }, round("clip", "attach", () => files.click()), files, this.text, emojiButton, make("button", { type: "submit", class: "round go", "aria-label": this.t("send"), title: this.t("send") }, icon("send")), emojis);
      this.writing.addEventListener("submit", (event) => (event.preventDefault(), send(), this.text.focus()));
      return this.writing;
    }

    #over() {
      let chosen = 0;
      const light = (upTo) => labels.forEach((label, index) => label.classList.toggle("lit", index < upTo));
      const labels = [1, 2, 3, 4, 5].map((n) => make("label", {}, make("input", { type: "radio", name: "stars", value: n, "aria-label": this.t("stars", { n }) }), icon("star")));
      const comment = make("textarea", { rows: 2, maxlength: 2000, "aria-label": this.t("comment"), placeholder: this.t("comment") });
      const more = make("div", { hidden: true }, comment, make("button", { type: "submit", class: "main", text: this.t("rateSend") }));
      more.style.cssText = "display: grid; gap: 8px; width: 100%";
      this.rating = make("form", {}, make("fieldset", { class: "stars" }, make("legend", { text: this.t("rate") }), ...labels), more);
      this.rating.addEventListener("change", ({ target }) => target.name === "stars" && ((chosen = Number(target.value)), light(chosen), (more.hidden = false), this.#toBottom()));
      this.rating.addEventListener("submit", (event) => (event.preventDefault(), this.room.rate(chosen, comment.value.trim()).catch(() => null)));
      this.resetRating = () => ((chosen = 0), light(0), this.rating.reset(), (more.hidden = true));
      this.rated = make("p", { role: "status", text: this.t("rated"), hidden: true });
      this.transcript = make("a", { class: "plain", text: this.t("transcript"), download: "" });
      this.over = make("section", { class: "over", hidden: true }, make("b", { text: this.t("ended") }), this.rating, this.rated, make("div", { class: "buttons" }, this.transcript, make("button", { type: "button", class: "plain", text: this.t("fresh"), onclick: () => this.#forget() })));
      return this.over;
    }

    /* a session begins, comes back, is gone */

    async #begin() {
      const given = { name: this.fields.name.value.trim(), email: this.fields.email.value.trim(), message: this.fields.message.value.trim() };
      const known = this.options.name && this.options.email;
      const wrongs = [known || given.name ? "" : "nameMissing", known || EMAIL.test(given.email) ? "" : "emailWrong", given.message ? "" : known ? "questionMissing" : ""];
      const controls = Object.values(this.fields);
      controls.forEach((control, index) => this.#wrong(control, wrongs[index]));
      if (wrongs.some(Boolean)) return controls[wrongs.findIndex(Boolean)].focus();
      const { tenantId, userHash } = this.options;
      this.#busy(true);
      try {
        const body = { ...(tenantId ? { tenant_id: tenantId } : {}), name: given.name, email: given.email, ...(given.message ? { message: given.message } : {}), ...(userHash ? { user_hash: userHash } : {}) };
        const { session_key } = await this.server.ask("POST", "public/sessions", body);
        this.fields.message.value = "";
        for (const [key, value] of Object.entries({ key: session_key, seen: 0, outbox: [], name: given.name, email: given.email })) this.store.put(key, value);
        await this.#resume(session_key);
        this.#focusFirst();
      } catch (error) {
        this.#say({ rate_limited: "tooOften", origin_not_allowed: "forbidden", forbidden: userHash ? "notProved" : "forbidden" }[error.code] ?? "failed");
      } finally {
        this.#busy(false);
      }
    }

    #busy(on) {
      this.startButton.disabled = on;
      this.startButton.textContent = this.t(on ? "starting" : "start");
      if (on) this.#say("");
    }

    #say(key) {
      this.trouble.hidden = !key;
      this.trouble.textContent = key ? this.t(key) : "";
    }

    #wrong(control, key) {
      const place = control.parentElement?.querySelector(".wrong");
      if (!place) return;
      place.hidden = !key;
      place.textContent = key ? this.t(key) : "";
      control.toggleAttribute("aria-invalid", Boolean(key));
      if (key) control.setAttribute("aria-invalid", "true");
    }

    async #resume(key) {
      this.room?.close();
      const room = new Room(this.server, key, this.store, { changed: () => this.#soon(), gone: () => this.#forget("gone") });
      this.room = room;
      this.#known = 0;
      this.resetRating();
      for (let tries = 1; room === this.room; tries += 1) {
        try {
          await room.open();
          break;
        } catch (error) {
          if (error.status === 404) return this.#forget("gone");
          await new Promise((done) => setTimeout(done, Math.min(LONGEST_MS, FIRST_MS * 2 ** tries) * (0.5 + Math.random() / 2)));
        }
      }
      this.ready = room;
      this.#draw();
      this.#toBottom();
    }

    #forget(why = "") {
      this.room?.close();
      this.room = this.ready = null;
      this.#unread = 0;
      this.store.put("key", null);
      this.log.replaceChildren();
      this.#draw();
      this.#say(why);
      if (this.isOpen) this.#focusFirst();
    }

    #askEnd() {
      const gone = () => (box.remove(), this.text.focus());
      const box = make("div", { class: "ask", role: "alertdialog", "aria-label": this.t("endAsk") }, make("div", {}, this.t("endAsk"), make("div", { class: "buttons" }, make("button", { type: "button", class: "plain", text: this.t("keep"), onclick: gone }), make("button", { type: "button", class: "main", text: this.t("end"), onclick: () => (gone(), this.room.end().catch(() => null)) }))));
      box.addEventListener("keydown", (event) => event.key === "Escape" && (event.stopPropagation(), gone()));
      this.panel.append(box);
      box.querySelector("button").focus();
    }

    /* keys and focus */

    #key(event) {
      if (event.key === "Escape" && this.isOpen) return event.stopPropagation(), this.close();
      if (event.key !== "Tab" || !this.isOpen || !PHONE.matches) return;
      const all = [...this.panel.querySelectorAll("button, input, textarea, a[href]")].filter((node) => node.offsetParent !== null && !node.disabled);
      const [first, last] = [all[0], all[all.length - 1]];
      if (event.shiftKey && this.root.activeElement === first) event.preventDefault(), last.focus();
      else if (!event.shiftKey && this.root.activeElement === last) event.preventDefault(), first.focus();
    }

    #focusFirst() {
      const place = !this.room ? Object.values(this.fields).find((control) => control.isConnected && !control.value) : this.writing.hidden ? this.scroll : this.text;
      place?.focus({ preventScroll: true });
    }

    /** On a phone the panel is the whole screen: the page behind it neither scrolls nor is read out. */
    #phone() {
      const whole = this.isOpen && PHONE.matches;
      if (whole) this.panel.setAttribute("aria-modal", "true");
      else this.panel.removeAttribute("aria-modal");
      if (whole && this.before === undefined) {
        this.before = document.documentElement.style.overflow;
        document.documentElement.style.overflow = "hidden";
      } else if (!whole && this.before !== undefined) {
        document.documentElement.style.overflow = this.before;
        this.before = undefined;
      }
    }

    /* drawing */

    #soon() {
      this.#drawing ||= setTimeout(() => ((this.#drawing = 0), this.#draw()));
    }

    get #stuck() {
      return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 80;
    }

    #toBottom() {
      this.scroll.scrollTop = this.scroll.scrollHeight;
      this.#saw();
    }

    #draw() {
      const room = this.room && this.ready === this.room ? this.room : null;
      const now = room?.now ?? { status: this.room ? "loading" : "start" };
      const stuck = this.#stuck;
      this.heading.textContent = now.status === "active" ? now.agent : (this.options.title ?? this.t("title"));
      this.under.textContent = now.status === "start" ? (this.desk?.agents_online === 0 ? this.t("away") : this.desk ? this.t("online") : "") : now.status === "loading" ? this.t("loading") : now.status === "active" ? (this.options.title ?? "") : now.status === "ended" ? this.t("ended") : "";
      this.under.hidden = !this.under.textContent;
      if (this.face.dataset.of !== (now.agent ?? "")) this.face.replaceChildren(now.agent ? initials(now.agent) : icon("chat"));
      else if (!this.face.childNodes.length) this.face.append(icon("chat"));
      this.face.dataset.of = now.agent ?? "";
      this.hi.textContent = this.options.greeting ?? this.t("greeting");
      this.start.hidden = now.status !== "start";
      this.scroll.querySelector(".log").style.flex = now.status === "start" ? "0 0 auto" : "";
      this.endButton.hidden = !["waiting", "active"].includes(now.status);
      this.writing.hidden = this.endButton.hidden;
      this.over.hidden = now.status !== "ended";
      this.#drawLine(room, now);
      this.#drawNote(now.status === "ended" ? null : room);
      this.typing.textContent = room?.typing && now.status === "active" ? this.t("typing", { name: room.typing }) : "";
      this.offer.hidden = !(now.status === "waiting" && room.rows.some((row) => row.sender_type === "bot") && ![...room.rows, ...room.letters].some((row) => row.body === PERSON));
      if (room) {
        reconcile(this.log, this.#items(room));
        this.rating.hidden = room.rating !== null;
        this.rated.hidden = room.rating === null;
        this.transcript.href = `${this.server.base}${room.path}/transcript?format=txt`;
        this.#count(room);
      }
      this.#drawLauncher();
      if (stuck) this.#toBottom();
      this.newest.hidden = !room || this.#stuck;
    }

    #drawLine(room, now) {
      this.line.hidden = now.status !== "waiting";
      if (this.line.hidden) return;
      const { position, waiting, eta_seconds: eta } = room.place;
      const minutes = this.language === "id" ? "mnt" : "min";
      const span = eta < 60 ? `${Math.ceil(eta / 10) * 10} ${this.language === "id" ? "dtk" : "s"}` : `${Math.ceil(eta / 60)} ${minutes}`;
      const title = !position ? this.t("loading") : position === 1 && room.agentsOnline !== 0 ? this.t("next") : waiting > position ? this.t("placeOf", { n: position, of: waiting }) : this.t("place", { n: position });
      const text = room.agentsOnline === 0 ? this.t("awayLine") : eta > 0 ? this.t("expect", { span }) : this.t("soon");
      if (this.line.textContent !== title + text) this.line.replaceChildren(make("b", { text: title }), text);
    }

    #drawNote(room) {
      const wanted = room && { reconnecting: "reconnecting", polling: "polling" }[room.state];
      if (wanted !== "reconnecting") this.since = null;
      else this.since ??= Date.now();
      const young = wanted === "reconnecting" && Date.now() - this.since < 1500;
      if (young) setTimeout(() => this.#soon(), 1600);
      this.note.hidden = !wanted || young;
      const text = wanted ? this.t(wanted) : "";
      if (this.note.textContent !== text) this.note.textContent = text;
    }

    #drawLauncher() {
      const n = this.#unread;
      this.badge.hidden = !n;
      this.badge.textContent = n > 9 ? "9+" : n;
      this.launcher.setAttribute("aria-label", this.isOpen ? this.t("close") : `${this.t("open")}${n ? ` (${this.t("unread", { n })})` : ""}`);
      if (this.launcher.dataset.shows !== String(this.isOpen)) this.launcher.replaceChildren(icon(this.isOpen ? "down" : "chat"), this.badge);
      this.launcher.dataset.shows = String(this.isOpen);
    }

    #count(room) {
      const seen = this.store.get("seen") ?? 0;
      this.#unread = room.rows.filter((row) => row.seq > seen && (row.sender_type === "agent" || row.sender_type === "bot")).length;
      this.#saw();
    }

    #saw() {
      this.newest.hidden = !this.ready || this.#stuck;
      if (!this.ready || !this.isOpen || document.hidden || !this.#stuck) return;
      this.ready.seen();
      if (this.ready.last > (this.store.get("seen") ?? 0)) this.store.put("seen", this.ready.last);
      this.#unread = 0;
    }

    #grow() {
      this.text.style.height = "auto";
      this.text.style.height = `${this.text.scrollHeight + 2}px`;
    }

    #items(room) {
      const list = room.rows.map((row, index) => (row.event || row.body === PERSON ? this.#what(row) : this.#row(room, row, room.rows[index - 1], room.rows[index + 1])));
      return [...list, ...room.letters.filter((letter) => !room.rows.some((row) => row.client_id === letter.client_id)).map((letter) => this.#letter(room, letter))];
    }

    #what(row) {
      const known = row.event && `e_${row.event.type}` in WORDS.en;
      const text = row.body === PERSON ? this.t("asked") : known ? this.t(`e_${row.event.type}`, { name: row.event.name }) : row.body;
      return { key: `${row.seq}`, sign: text, make: () => make("p", { class: "what", text }) };
    }

    #row(room, row, before, after) {
      const mine = row.sender_type === "customer";
      const alike = (other) => other && !other.event && other.sender_type === row.sender_type && other.sender_name === row.sender_name;
      const [first, last] = [!alike(before) || before.body === PERSON, !alike(after)];
      const mark = row.seq <= room.marks.read ? "read" : row.seq <= room.marks.got ? "delivered" : "sent";
      const time = new Date(row.created_at).toLocaleTimeString(this.language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
      const by = first && !mine ? make("span", { class: "by" }, row.sender_type === "bot" ? icon("bot") : null, row.sender_type === "bot" ? this.t("bot") : row.sender_name) : null;
      const foot = () => make("div", { class: "foot" }, make("time", { datetime: row.created_at, text: time }), mine && make("span", { class: mark === "read" ? "seen" : "", title: this.t(mark) }, icon(mark === "sent" ? "sent" : "seen"), make("span", { class: "unseen", text: this.t(mark) })));
      const key = mine && row.client_id ? row.client_id : `${row.seq}`;
      return { key, sign: [first, last, mine && last && mark].join(), make: () => make("article", { class: `row ${mine ? "mine" : row.sender_type}${first ? " first" : ""}` }, by, mine ? make("span", { class: "unseen", text: `${this.t("you")}:` }) : null, ...(row.attachments ?? []).map((file) => this.#file(room, file)), row.body ? this.#bubble(row.body) : null, last ? foot() : null) };
    }

    #bubble(body) {
      const bubble = make("div", { class: "text" });
      bubble.append(linked(body));
      return bubble;
    }

    #file(room, file) {
      const url = new URL(file.url, this.server.base);
      url.searchParams.set("key", room.key);
      if (!/^image\/(png|jpeg|gif|webp)$/.test(file.type)) return make("a", { class: "file", href: url.href, download: file.name, target: "_blank", rel: "noopener" }, icon("file"), make("span", { text: file.name }));
      const img = make("img", { src: url.href, alt: file.name });
      img.addEventListener("load", () => this.#stuck || !this.#unread ? this.#toBottom() : null);
      return make("a", { class: "pic", href: url.href, target: "_blank", rel: "noopener" }, img);
    }

    #letter(room, letter) {
      const foot = letter.failed
        ? [this.t(letter.failed), make("button", { type: "button", text: this.t("again"), onclick: () => room.again(letter) }), make("button", { type: "button", text: this.t("remove"), onclick: () => room.settle(letter.client_id) })]
        : [this.t(letter.file ? "uploading" : "sending")];
      const card = () => {
        const bar = letter.failed ? null : make("progress", { max: 1, value: letter.share });
        if (bar) letter.onShare = (share) => (bar.value = share);
        return make("div", { class: "file" }, icon("file"), make("span", { text: letter.file.name }), bar);
      };
      return { key: letter.client_id, sign: `letter ${letter.failed}`, make: () => make("article", { class: `row mine first ${letter.failed ? "failed" : "unsent"}` }, letter.file ? card() : this.#bubble(letter.body === PERSON ? this.t("person") : letter.body), make("div", { class: "foot" }, ...foot)) };
    }
  }

  /* --- what the page sees */

  let widget = null;
  let wanted = null;
  const ready = (then) => (document.body ? then() : addEventListener("DOMContentLoaded", then, { once: true }));

  window.CallCenterChat = Object.freeze({
    init(options = {}) {
      if (wanted) return;
      wanted = { ...options };
      ready(() => wanted && (widget ??= new Widget(wanted)));
    },
    open() {
      ready(() => widget?.open());
    },
    close() {
      widget?.close();
    },
    destroy() {
      widget?.destroy();
      widget = wanted = null;
    },
  });
})();
