// What the server says in codes, in words for a person: why a room waits, what is wrong, what an act will do; ages that
// tick. Before it the views, after it words/ops.js.

import { serverNow } from "../agent/api.js";
import { make, setAttr, setText } from "../core/dom.js";
import { clock, currentLanguage, dateTime, known, number, span, t, vocabulary } from "../words/words.js";

const MOMENTS = new Set(["at", "until", "since"]);

/** {code, message, values} in the reader's language; what the page has no words for, as the server says it. */
export function said(prefix, { code, message, values = {} }) {
  const key = `${prefix}_${code}`;
  const isWhole = known(key) && holesOf(key).every((name) => name === "n" || (values[name] ?? "") !== "");
  if (!isWhole) return known(`${key}_short`) ? t(`${key}_short`) : sentence(message);
  return t(key, { ...shownValues(values), n: values.agents ?? values.count ?? 0 });
}

const holesOf = (key) => [...JSON.stringify(vocabulary().en[key]).matchAll(/\{(\w+)\}/g)].map(([, name]) => name);

const shownValues = (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, shownValue(name, value)]));

function shownValue(name, value) {
  if (MOMENTS.has(name) && value) return moment(value);
  return typeof value === "number" ? number(value) : value;
}

const sentence = (text) => (text ? text.charAt(0).toLocaleUpperCase(currentLanguage()) + text.slice(1) : "");

export const why = (reason) => said("w", reason);
export const problem = (found) => said("p", found);
export const effect = (told) => said("e", told);

/** A time of today alone; else with its date. */
export function moment(iso) {
  return new Date(iso).toDateString() === new Date(serverNow()).toDateString() ? clock(iso) : dateTime(iso);
}

export const exact = (iso) => new Date(iso).toLocaleTimeString(currentLanguage(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** "2–5 min", "about 3 min", "–" where nobody knows. */
export function eta(low, high) {
  if (low === null || low === undefined) return "–";
  if (high < 60) return t("under", { time: span(60) });
  const [from, to] = [low, high].map((seconds) => Math.max(1, Math.round(seconds / 60)));
  if (to >= 120) return t("hours", { from: Math.round(from / 6) / 10, to: Math.round(to / 6) / 10 });
  return from === to ? t("aboutMinutes", { from }) : t("minutes", { from, to });
}

export const since = (iso) => Math.max(0, (serverNow() - Date.parse(iso)) / 1000);

/** "3 min 05 s" below an hour: one sees that it moves. */
export function ticking(seconds) {
  const whole = Math.floor(seconds);
  return whole < 60 || whole >= 3600 ? span(whole) : `${span(whole)} ${String(whole % 60).padStart(2, "0")} ${t("unitS")}`;
}

/** A <time> that ticks by itself; `exactly`: with seconds. */
export function age(iso, exactly = false) {
  const node = make("time", { class: "age", "data-exact": exactly });
  setAge(node, iso);
  return node;
}

export function setAge(node, iso) {
  setAttr(node, "data-since", iso);
  setAttr(node, "datetime", iso);
  tick(node);
}

function tick(node) {
  const iso = node.dataset.since;
  setText(node, !iso ? "–" : "exact" in node.dataset ? ticking(since(iso)) : span(since(iso)));
}

/** The moment itself, for whoever points at an age: not written for thousands that nobody asks about. */
export function tellMoments(root) {
  root.addEventListener("pointerover", ({ target }) => {
    const node = target.closest?.("[data-since]");
    if (node) setAttr(node, "title", dateTime(node.dataset.since));
  });
}

export function tickAll(root) {
  for (const node of root.querySelectorAll("[data-since]")) tick(node);
}

/** A count for `t`: its plural goes by the number, and it is shown as the reader writes numbers. */
export const counted = (n) => ({ valueOf: () => n, toString: () => number(n) });

export const percent = (share) => (share === null || share === undefined ? "–" : `${number(Math.round(share * 100))} %`);

/** What the server refused, for a person. */
export function refusal({ code, message }) {
  return known(`x_${code}`) ? t(`x_${code}`, { why: message }) : t("x_failed", { why: message || code });
}
