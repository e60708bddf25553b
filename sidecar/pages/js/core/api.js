/* The chat's REST, as the pages ask it: a path under /api/v1 in, JSON out, or NotAnswered with the server's own word.
 *
 *   await ask("GET", `public/sessions/${key}?after=0`)
 *   await ask("POST", "public/sessions", { json: {…} })
 *   await upload(`public/sessions/${key}/attachments`, file, { clientId, onShare, signal })   // onShare(0…1)
 *   servedBy("https://shop.example/chat/")   // for the widget, whose page is somebody else's
 */

import { sendForm } from "./uploads.js";

const BASE = "/api/v1/";
let home = new URL(".", location.href); // a proxy may have us behind a path: all addresses are below it
const ANSWER_WITHIN_MS = 20_000;
const HOPELESS = new Set([401, 403, 404]);

/** `status` 0: no answer at all. `code` and `message` are the server's; `retryAfter` in seconds. */
export class NotAnswered extends Error {
  constructor(status, { code, message } = {}, retryAfter = 0) {
    super(message ?? code ?? "no answer");
    this.status = status;
    this.code = code ?? "unreachable";
    this.retryAfter = retryAfter;
    this.final = HOPELESS.has(status);
  }
}

/** Where the server is, also behind a path; else it is the page's own. */
export function servedBy(address) {
  home = new URL(address, location.href);
  home.search = home.hash = "";
  if (!home.pathname.endsWith("/")) home.pathname += "/";
}

/** Of "/api/v1/…" as the server says it. `kind`: "ws" for a socket. */
export function addressOf(path, kind = "http") {
  const url = new URL(path.replace(/^\/+/, ""), home);
  url.protocol = url.protocol.replace("http", kind);
  return url.href;
}

export async function ask(method, path, { json, token } = {}) {
  const headers = { accept: "application/json" };
  if (json !== undefined) headers["content-type"] = "application/json";
  if (token) headers.authorization = `Bearer ${token}`;
  const body = json === undefined ? undefined : JSON.stringify(json);
  let answer;
  try {
    answer = await fetch(addressOf(BASE + path), { method, headers, body, cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  } catch {
    throw new NotAnswered(0);
  }
  return read(answer.status, answer.headers.get("retry-after"), await answer.text().catch(() => ""));
}

/** Something to save, as a blob. */
export async function fetchBlob(path) {
  let answer;
  try {
    answer = await fetch(addressOf(BASE + path), { cache: "no-store" });
    if (answer.ok) return await answer.blob();
  } catch {
    throw new NotAnswered(0);
  }
  throw new NotAnswered(answer.status);
}

export async function upload(path, file, { clientId, onShare, signal }) {
  const form = new FormData();
  form.append("client_id", clientId); // before the file: a repeated upload is one message
  form.append("file", file, file.name);
  let done;
  try {
    done = await sendForm(addressOf(BASE + path), form, { onShare, signal });
  } catch {
    throw new NotAnswered(0);
  }
  return read(done.status, done.getResponseHeader("retry-after"), done.responseText);
}

function read(status, retryAfter, text) {
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    throw new NotAnswered(status); // not from our server: a proxy's page
  }
  if (status >= 200 && status < 300) return answer;
  throw new NotAnswered(status, answer?.error, Number(retryAfter) || 0);
}
