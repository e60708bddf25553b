/* Words in English and Indonesian, and how times, spans and sizes are said. Knows no page: the widget uses it on any.
 *
 *   addWords({ en: { greet: "Hello {name}", left: { one: "{n} chat", other: "{n} chats" } },
 *              id: { greet: "Halo {name}", left: { other: "{n} percakapan" } } });
 *   setLanguage("id"); t("greet", { name }), t("left", { n })        // {one, other}: by the number `n`
 *   onLanguage(draw)                                                // draws again what code has made
 *
 * A key that only one language has is an error of ours: tests compare them (`vocabulary()`).
 */

export const LANGUAGES = ["en", "id"];
const words = { en: {}, id: {} };
const listeners = new Set();
const formats = new Map(); // of Intl: dear to make
let language = "en";

export const currentLanguage = () => language;
export const vocabulary = () => words;
export const known = (key) => key in words.en;

/** The first of `wishes` (as browsers and systems name languages) that there is. */
export const spoken = (wishes) => wishes.map(languageOf).find((one) => LANGUAGES.includes(one)) ?? "en";

/** "id-ID", "id_ID", "IN": Java and old Androids have Indonesian's old code. */
export function languageOf(tag) {
  const [first] = String(tag ?? "").trim().toLowerCase().split(/[-_.@]/u);
  return { in: "id", ind: "id", eng: "en" }[first] ?? first;
}

export function setLanguage(wanted) {
  language = wanted;
  for (const listener of listeners) listener(wanted);
}

/** Called after each change of the language. `signal` ends it. */
export function onLanguage(listener, { signal } = {}) {
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener), { once: true });
}

export function addWords(more) {
  for (const one of LANGUAGES) Object.assign(words[one], more[one]);
}

export function t(key, facts = {}) {
  let text = words[language][key] ?? words.en[key] ?? key;
  if (typeof text === "object") text = text[format("PluralRules", {}).select(facts.n ?? 0)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? "");
}

/** The word of a key made of two parts; where there is none, `other`. For codes that a server sends. */
export const wordOr = (key, other) => (known(key) ? t(key) : other);

function format(kind, options) {
  const key = `${language} ${kind} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl[kind](language, options));
  return formats.get(key);
}

/* Times, as the reader is used to them. `moment` is what the API sends, or milliseconds. */

export const clock = (moment) => format("DateTimeFormat", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(moment));

export const dateTime = (moment) => format("DateTimeFormat", { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" }).format(new Date(moment));

/** "Today", "Yesterday", else the date: for the lines between the days of a conversation. */
export function day(moment, now = Date.now()) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(now) - midnight(moment)) / 86_400_000);
  if (days === 0 || days === 1) return capital(new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-days, "day"));
  const sameYear = new Date(now).getFullYear() === new Date(moment).getFullYear();
  return new Date(moment).toLocaleDateString(language, { weekday: "long", day: "numeric", month: "long", ...(sameYear ? {} : { year: "numeric" }) });
}

/** How long, roughly: "40 s", "3 min", "2 h 5 min". */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const unit = language === "id" ? { s: "dtk", m: "mnt", h: "jam", d: "hari" } : { s: "s", m: "min", h: "h", d: "d" };
  if (whole < 60) return `${whole} ${unit.s}`;
  if (whole < 3600) return `${Math.floor(whole / 60)} ${unit.m}`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} ${unit.h} ${Math.floor((whole % 3600) / 60)} ${unit.m}`;
  return `${Math.floor(whole / 86_400)} ${unit.d}`;
}

export const number = (n) => format("NumberFormat", {}).format(n);

export function bytes(size) {
  const units = ["B", "KB", "MB", "GB"];
  const step = Math.min(units.length - 1, size > 0 ? Math.floor(Math.log(size) / Math.log(1024)) : 0);
  return `${(size / 1024 ** step).toLocaleString(language, { maximumFractionDigits: step ? 1 : 0 })} ${units[step]}`;
}

const capital = (text) => text.charAt(0).toLocaleUpperCase(language) + text.slice(1);
