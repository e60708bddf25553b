// What a conversation holds: its rows, notes and earlier visits. Before it REST, after it the desk. The one that is open is
// asked for until it is whole: nobody reads a conversation with a hole in it and takes it for all that was said.

import { ask } from "./api.js";
import { explain, quietly } from "./notices.js";
import { desk, draw, page } from "./state.js";
import { wait } from "../core/link.js";

/** All rows of a session after one, page by page. */
export async function allMessages(id, from = 0) {
  const all = [];
  for (let more = true; more; ) {
    const told = await ask("GET", `sessions/${id}/messages?after=${all.at(-1)?.seq ?? from}`);
    all.push(...told.messages);
    more = Boolean(told.more) && told.messages.length > 0;
  }
  return all;
}

/** What is missing here of one conversation, asked for once. */
export async function fetchRoom(id) {
  const { gaps } = desk.room(id);
  const [told, messages] = await Promise.all([ask("GET", `sessions/${id}`), allMessages(id, desk.heldTo(id))]);
  const { notes, visits, ...session } = told;
  desk.put(session);
  desk.rows(id, messages, { complete: desk.room(id).gaps === gaps }); // one that came meanwhile is not in the answer
  desk.details(id, { notes, visits });
}

/** The same until it succeeds, for as long as the conversation is open and the server may still come to answer; the first
    failure is told. A refusal for good is thrown. */
export async function fetchOpenRoom(id) {
  for (let failures = 1; isNeeded(id); failures += 1) {
    try {
      return await fetchRoom(id);
    } catch (error) {
      if (!mayPass(error)) throw error;
      if (failures === 1 && isNeeded(id)) explain(error);
      await new Promise((done) => setTimeout(done, Math.max(wait(failures), error.retryAfter * 1000)));
    }
  }
}

/** A row is missing between two that are here. One that is not open is asked for once, and again when somebody opens it. */
export function mendGap(id) {
  const room = desk.room(id);
  Object.assign(room, { stale: true, holed: true, gaps: room.gaps + 1 });
  const mending = page.open === id ? fetchOpenRoom(id).catch(explain) : fetchRoom(id).catch(quietly);
  mending.then(() => draw());
}

const isNeeded = (id) => page.open === id && (!desk.room(id).loaded || desk.room(id).stale);
const mayPass = ({ status }) => status === 0 || status === 429 || status >= 500;
