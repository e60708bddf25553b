// Requests of the agent's page: before it the deeds, after it /api/v1. The token lives here and nowhere else.

import { addressOf } from "../core/api.js";
import { sendForm } from "../core/uploads.js";

const BASE = "/api/v1/";
const KEPT = "giliran-agent";
const KEPT_TENANT = "giliran-agent-tenant";
const TIMEOUT_MS = 15000;

/** The server's refusal. `status` 0: no answer at all. */
export class Refused extends Error {
  constructor(status, code, message, retryAfter = 0) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

let kept = read("sessionStorage", KEPT) ?? read("localStorage", KEPT);
let whenExpired = () => {};
let skewMs = 0; // server's clock minus ours; whole seconds are enough for "waits since 3 min"

export const token = () => kept;
export const serverNow = () => Date.now() + skewMs;
export const onExpired = (then) => { whenExpired = then; };

export function keepToken(value, staySignedIn) {
  kept = value;
  write("sessionStorage", KEPT, value);
  if (staySignedIn || value === null) write("localStorage", KEPT, value);
}

/** The workspace that was named with the sign-in; empty where there is only one. */
export const keptTenant = () => read("localStorage", KEPT_TENANT) ?? "";
export const keepTenant = (name) => write("localStorage", KEPT_TENANT, name || null);

export async function ask(method, path, body, { signal } = {}) {
  const headers = kept ? { Authorization: `Bearer ${kept}` } : {};
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await answered(addressOf(BASE + path), { method, headers, ...sent, signal: signal ?? AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status === 204) return {};
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted && error.name === "AbortError") throw error;
    throw new Refused(0, "unreachable", error.message); // an answer that broke off
  }
}

/** A file of a message or a transcript, fetched with the token, as a blob. */
export async function fetchBlob(url) {
  const response = await answered(addressOf(url.startsWith("/") ? url : BASE + url), { headers: { Authorization: `Bearer ${kept}` } });
  return response.blob();
}

/** Sends a file and tells how far it is (0..1). `signal` ends it. */
export async function upload(path, file, fields, { progress, signal }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file, file.name);
  let done;
  try {
    done = await sendForm(addressOf(BASE + path), form, { headers: { Authorization: `Bearer ${kept}` }, onShare: progress, signal });
  } catch (error) {
    throw new Refused(0, "unreachable", error.message);
  }
  const told = parsed(done.responseText);
  if (done.status < 300) return told;
  throw refusal(done.status, told, done.getResponseHeader("Retry-After"));
}

async function answered(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted && error.name === "AbortError") throw error;
    throw new Refused(0, "unreachable", error.message);
  }
  const date = Date.parse(response.headers.get("Date"));
  if (date) skewMs = Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now();
  if (response.ok) return response;
  throw refusal(response.status, parsed(await response.text()), response.headers.get("Retry-After"));
}

function refusal(status, told, retryAfter) {
  const { code = "failed", message = "" } = told?.error ?? {};
  if (status === 401 && kept) whenExpired();
  return new Refused(status, code, message, Number(retryAfter) || 0);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's own page
  }
}

function read(storage, name) {
  try {
    return window[storage].getItem(name);
  } catch {
    return null; // storage may be forbidden: the login lasts as long as the page
  }
}

function write(storage, name, value) {
  try {
    if (value === null) window[storage].removeItem(name);
    else window[storage].setItem(name, value);
  } catch (error) {
    console.info("the login is not kept", error.name);
  }
}
