// What the agent's page knows: first load plus events. Pure: before it the socket and the REST answers, after it the views.
// A session's status follows its system rows, which have a seq: a row or an event that is older than the load changes nothing.

const TYPING_MS = 6000;
const MARKS = ["customer_got", "customer_read", "agent_read"];
const LINE_LIVE = 100; // the server tells the places of so many, see chat.queue.changed
const HEAD_MOST = 200; // GET queue tells so many

export class Desk {
  constructor() {
    this.me = null;
    this.agents = new Map();
    this.sessions = new Map();
    this.rooms = new Map();
    this.typing = new Map();
    this.canned = [];
    this.stored = () => {}; // told (session's id, client_id) of each row that this agent has sent, however it comes
    this.head = { ids: new Set(), waiting: 0, isCut: false, missing: [] };
  }

  // ---- first load

  /** The whole truth of this moment; rooms that were looked at are kept and marked for a fetch of what they miss. */
  load({ me, agents, sessions, line, canned }, watched) {
    this.me = me;
    this.canned = canned;
    this.agents = new Map(agents.map((agent) => [agent.agent_id, agent]));
    const kept = this.sessions.get(watched);
    this.sessions = new Map(sessions.map((session) => [session.session_id, fresh(session)]));
    if (kept && !this.sessions.has(watched)) this.sessions.set(watched, kept); // it has ended; its details come next
    for (const room of this.rooms.values()) room.stale = true;
    this.takeHead(line);
  }

  /** Who stands in front, as asked for, and how many wait in all. Of a long line no more is known for sure: newcomers are,
      too, but who stands between them and the head is not. */
  takeHead({ sessions, waiting }) {
    for (const session of sessions) {
      const put = this.put(session);
      if (put.status === "waiting" && !placeOf(put)) put.position = session.position; // one that was told live is younger
    }
    this.head = { ids: new Set(sessions.map((session) => session.session_id)), waiting, isCut: waiting > sessions.length, missing: [] };
  }

  /** One session as the server sees it now. An answer that is older than what was heard since is not believed: not at all
      where a row is missing in it, else in what moves without rows. */
  put(session) {
    const known = this.sessions.get(session.session_id);
    if (known && known.last_seq > session.last_seq) return known;
    const put = fresh(session, known);
    if (known?.last_seq === session.last_seq) Object.assign(put, heardOf(known, put));
    this.sessions.set(put.session_id, put);
    return put;
  }

  /** Rows of a room, from the server or acknowledged; each once, in order. */
  rows(id, messages, { complete = false } = {}) {
    const room = this.room(id);
    for (const message of messages) {
      insert(room.messages, message);
      if (message.client_id) this.stored(id, message.client_id);
    }
    if (complete) Object.assign(room, { loaded: true, stale: false, holed: false });
  }

  details(id, { notes, visits }) {
    const room = this.room(id);
    if (notes) room.notes = mergeNotes(room.notes, notes);
    if (visits) Object.assign(room, { visits, told: true });
  }

  note(id, note) {
    const room = this.room(id);
    room.notes = mergeNotes(room.notes, [note]);
  }

  room(id) {
    if (!this.rooms.has(id))
      this.rooms.set(id, { messages: [], notes: [], visits: [], told: false, loaded: false, stale: false, gaps: 0, holed: false });
    return this.rooms.get(id);
  }

  // ---- events

  /** Takes one event in. Answers what it was: {kind, session?, message?}; kind "unknown" and "gap" ask for a fetch. */
  hear(type, payload, now = Date.now()) {
    const take = HEARD[type];
    return take ? take.call(this, payload, now) ?? { kind: "changed", id: payload.session_id } : { kind: "nothing" };
  }

  /** The sender's own message, acknowledged: the rows before it may still be on their way. */
  acknowledged(message) {
    const session = this.sessions.get(message.session_id);
    this.rows(message.session_id, [message]);
    if (!session || message.seq <= session.last_seq) return;
    session.ahead.add(message.seq);
    if (message.sender_type === "agent" && session.agent?.agent_id === message.sender_id) session.answered = true;
    catchUp(session);
    remember(session, message);
  }

  /** The seq up to which all rows of a room are here. */
  heldTo(id) {
    let to = 0;
    for (const { seq } of this.room(id).messages) if (seq === to + 1) to = seq;
    return to;
  }

  // ---- answers for the views

  mine() { return this.open().filter((session) => this.isMine(session)); }
  open() { return [...this.sessions.values()].filter((session) => session.status !== "ended" && !session.gone_at); }
  isMine(session) { return session.status === "active" && session.agent?.agent_id === this.me.agent_id; }
  isBoss() { return this.me.role === "supervisor" || this.me.role === "admin"; }
  mayWrite(session) { return this.isMine(session) || (this.isBoss() && session.status !== "ended"); }

  /** The line as it stands, without a hole: the places the server told, the rest by arrival. */
  line() {
    const place = (session) => session.position ?? Infinity;
    const { ids, isCut } = this.head;
    return this.open().filter((session) => session.status === "waiting" && (!isCut || ids.has(session.session_id) || place(session) <= LINE_LIVE))
      .sort((a, b) => place(a) - place(b) || a.created_at.localeCompare(b.created_at));
  }

  /** The customer's other conversations, newest first: those of the answer, as they stand now, and those begun since. */
  visitsOf({ session_id: id, customer }) {
    const here = [...this.sessions.values()].filter((session) => session.customer.id === customer.id && session.session_id !== id);
    const all = new Map([...this.room(id).visits, ...here].map((visit) => [visit.session_id, visit]));
    return [...all.values()].sort((a, b) => b.created_at.localeCompare(a.created_at));
  }

  waiting() { return this.head.isCut ? this.head.waiting : this.line().length; }

  chatsOf(agentId) {
    return this.open().filter((session) => session.status === "active" && session.agent?.agent_id === agentId).length;
  }

  typer(id, now = Date.now()) {
    const typing = this.typing.get(id);
    return typing && typing.until > now ? typing : null;
  }
}

const HEARD = {
  "chat.message.new"(message) {
    if (message.client_id) this.stored(message.session_id, message.client_id);
    const session = this.sessions.get(message.session_id);
    if (!session) return { kind: this.head.isCut && !message.event ? "nothing" : "unknown", id: message.session_id }; // far behind in the line
    if (message.seq <= session.last_seq || session.ahead.has(message.seq)) {
      if (this.rooms.has(message.session_id)) this.rows(message.session_id, [message]);
      return { kind: "row", id: message.session_id };
    }
    const gap = message.seq !== session.last_seq + 1 && !session.ahead.has(session.last_seq + 1);
    if (this.rooms.has(message.session_id)) this.rows(message.session_id, [message]);
    session.ahead.add(message.seq);
    if (gap) session.last_seq = message.seq; // the caller fetches what lies between
    catchUp(session);
    remember(session, message);
    if (message.event) happened(session, message.event, message.created_at);
    if (message.sender_type === "customer") session.unread += 1;
    if (message.sender_type === "agent" && session.agent?.agent_id === message.sender_id) session.answered = true;
    if (message.sender_type !== "system") this.typing.delete(message.session_id);
    return { kind: gap ? "gap" : "message", id: message.session_id, session, message };
  },
  "chat.message.read"({ session_id: id, up_to_seq: upTo, by }) {
    const session = this.sessions.get(id);
    if (!session) return;
    const mark = by === "agent" ? "agent_read" : "customer_read";
    session[mark] = Math.max(session[mark] ?? 0, upTo);
    if (by === "agent") session.unread = unreadAfter(session, this.rooms.get(id));
  },
  "chat.message.delivered"({ session_id: id, up_to_seq: upTo, by }) {
    const session = this.sessions.get(id);
    if (session && by !== "agent") session.customer_got = Math.max(session.customer_got ?? 0, upTo);
  },
  "chat.session.started": tell,
  "chat.session.assigned": tell,
  "chat.session.transferred": tell,
  "chat.session.released": tell,
  "chat.session.left": tell,
  "chat.session.returned": tell,
  "chat.session.ended": tell,
  "chat.session.rated"({ session_id: id, rating, comment, rating_comment: said }) {
    const session = this.sessions.get(id);
    if (session) Object.assign(session, { rating, rating_comment: said ?? comment ?? "" });
  },
  "chat.queue.changed"({ waiting, number }) {
    const places = new Map(waiting.map(({ session_id: id, position }) => [id, position]));
    for (const session of this.sessions.values())
      if (session.status === "waiting") session.position = places.get(session.session_id) ?? beyond(session, waiting);
    const missing = waiting.map(({ session_id: id }) => id).filter((id) => !this.sessions.has(id));
    Object.assign(this.head, { waiting: number, missing, isCut: this.head.isCut && (number > waiting.length || missing.length > 0) });
    return { kind: "line", isBehind: missing.length > 0 || (this.head.isCut && number <= HEAD_MOST) };
  },
  "chat.typing"({ session_id: id, is_typing: on, by, name, agent_id: agentId }, now) {
    if (agentId && agentId === this.me?.agent_id) return { kind: "nothing" }; // oneself, on another page
    if (on) this.typing.set(id, { by, name, until: now + TYPING_MS });
    else this.typing.delete(id);
  },
  "chat.presence"({ agent_id: id, name, presence }) {
    const agent = this.agents.get(id) ?? { agent_id: id, name, email: "", role: "agent", load: 0, limit: null };
    this.agents.set(id, { ...agent, name: name ?? agent.name, presence });
    if (id === this.me?.agent_id) this.me = { ...this.me, presence };
    return { kind: "presence" };
  },
  "chat.customers.here"({ sessions }) {
    for (const { session_id: id, here, seen_at: at } of sessions) {
      const session = this.sessions.get(id);
      if (session) session.customer = { ...session.customer, here, seen_at: at };
    }
  },
  "chat.agents.changed"({ agents }) {
    for (const agent of agents) this.agents.set(agent.agent_id, { presence: "offline", ...this.agents.get(agent.agent_id), ...agent });
    const mine = agents.find(({ agent_id: id }) => id === this.me?.agent_id)?.presence;
    if (mine) this.me = { ...this.me, presence: mine };
    return { kind: "presence" };
  },
  "chat.canned.changed"() {
    return { kind: "canned" };
  },
  "chat.note.new"(payload) {
    const note = payload.note ?? payload;
    if (this.rooms.has(payload.session_id)) this.note(payload.session_id, note);
    return { kind: "note", id: payload.session_id };
  },
};

/** An event that carries the session: new ones are taken in, known ones follow their rows and learn only the rest. */
function tell(payload) {
  const known = this.sessions.get(payload.session_id);
  if (!payload.session) return known ? undefined : { kind: "unknown", id: payload.session_id };
  if (!known) return { kind: "arrived", id: payload.session_id, session: this.put(payload.session) };
  if (payload.session.last_seq >= known.last_seq) this.put(payload.session);
}

/** What a system row says of the session's state. */
function happened(session, event, at) {
  const agent = { agent_id: event.agent_id, name: event.name ?? "" };
  if (event.type === "assigned" || event.type === "transferred")
    Object.assign(session, { status: "active", agent, answered: false, position: null, started_at: session.started_at ?? at });
  if (event.type === "released") Object.assign(session, { status: "waiting", agent: null, answered: false });
  if (event.type === "left") Object.assign(session, { gone_at: at, position: null });
  if (event.type === "returned") session.gone_at = null;
  if (event.type === "ended")
    Object.assign(session, { status: "ended", position: null, ended_at: at, ended_by: event.by ?? session.ended_by });
}

function fresh(session, known) {
  const { sender_type: sender, seq } = session.last_message ?? {};
  const asked = Math.max(known?.asked ?? 0, sender === "customer" ? seq : 0); // the customer's last message; 0: not known
  return { customer_got: 0, customer_read: 0, agent_read: 0, unread: 0, ...session, asked, ahead: known?.ahead ?? new Set() };
}

/** What was heard of a session by events alone: marks only grow, a place is told live. */
function heardOf(known, put) {
  const marks = Object.fromEntries(MARKS.map((mark) => [mark, Math.max(known[mark], put[mark])]));
  const unread = known.agent_read > put.agent_read ? known.unread : put.unread;
  return { ...marks, unread, rating: put.rating ?? known.rating, position: put.status === "waiting" ? known.position ?? put.position : null };
}

function catchUp(session) {
  while (session.ahead.delete(session.last_seq + 1)) session.last_seq += 1;
  for (const seq of session.ahead) if (seq <= session.last_seq) session.ahead.delete(seq);
}

function remember(session, { seq, body, sender_type: sender, created_at: at, attachments }) {
  if (sender === "customer") session.asked = Math.max(session.asked, seq);
  if (sender === "system" || sender === "bot" || seq < (session.last_message?.seq ?? 0)) return;
  session.last_message = { seq, body: body || attachments?.[0]?.name || "", sender_type: sender, created_at: at };
}

function insert(messages, message) {
  let at = messages.length;
  while (at > 0 && messages[at - 1].seq > message.seq) at -= 1;
  if (at > 0 && messages[at - 1].seq === message.seq) return;
  messages.splice(at, 0, message);
}

function mergeNotes(old, added) {
  const all = new Map([...old, ...added].map((note) => [String(note.id), note]));
  return [...all.values()].sort((a, b) => a.created_at.localeCompare(b.created_at));
}

function unreadAfter(session, room) {
  if (session.agent_read >= session.last_seq) return 0;
  if (!room?.loaded || room.stale) return unreadAtMost(session);
  return room.messages.filter(({ seq, sender_type: who }) => who === "customer" && seq > session.agent_read).length;
}

/** Where the rows are not here: none after the customer's last message, else no more than there are rows of others. */
function unreadAtMost({ unread, agent_read: read, last_seq: last, last_message: said, asked }) {
  if (asked && read >= asked) return 0;
  if (read >= (said?.seq ?? 0)) return 0;
  return Math.min(unread, last - read - (said.sender_type === "customer" ? 0 : 1));
}

/** The number in line that is shown: one that was told live. */
export const placeOf = ({ position }) => (position <= LINE_LIVE ? position : null);

function beyond(session, waiting) {
  return waiting.length < LINE_LIVE ? null : Math.max(LINE_LIVE + 1, session.position ?? 0);
}
