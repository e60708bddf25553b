// What a supervisor does by hand: its effect is said before (a dry run), and what came of it after. Before it the views;
// after it REST and one dialog.

import { effect, refusal } from "./says.js";
import { pathOf, settled } from "./state.js";
import { Refused, ask } from "../agent/api.js";
import { byId, make, setText, toast } from "../core/dom.js";
import { t } from "../words/words.js";

const TRIED_MOST = 20; // of many: so many are asked what would happen
const AT_ONCE = 4;
const TYPING_MS = 250;
const NAMED = /^[ \t]*\[queues\.(?:"([^"\n]+)"|([\w-]+))\]/gm; // the heads of queues in a file of rules
let now = null; // the act in the dialog
let tries = 0;

export function wireActs() {
  byId("act-form").addEventListener("submit", (event) => { event.preventDefault(); doIt(); });
  byId("act-no").addEventListener("click", () => byId("act-dialog").close());
  byId("act-dialog").addEventListener("close", () => { now = null; });
  byId("act-number").addEventListener("input", settled(tryIt, TYPING_MS));
  byId("act-choice").addEventListener("change", tryIt);
}

/** `code`: its words; `subjects` [{id, name}]; `request(subject, value)` → [method, path of the tenant, body]; `number`
 *  {min, max, value, mayBeNone?} or `choices` [{value, text}], where a value is asked for; `done()`. */
export function askAct(act) {
  now = act;
  const { code, subjects, number, choices, grave = false } = act;
  setText(byId("act-title"), t(`a_${code}`));
  setText(byId("act-about"), subjects.length === 1 ? subjects[0].name : t("actOn", { n: subjects.length }));
  byId("act-number-field").hidden = !number;
  byId("act-choice-field").hidden = !choices;
  setText(byId("act-number-label"), t(`f_${code}`));
  setText(byId("act-choice-label"), t(`f_${code}`));
  if (number) Object.assign(byId("act-number"), { min: number.min, max: number.max, value: number.value ?? "" });
  byId("act-choice").replaceChildren(...(choices ?? []).map(({ value, text }) => make("option", { value, text })));
  setText(byId("act-yes"), t(`a_${code}`));
  byId("act-yes").classList.toggle("danger", grave);
  byId("act-dialog").showModal();
  (number ? byId("act-number") : choices ? byId("act-choice") : byId("act-yes")).focus();
  tryIt();
}

/** What was typed or chosen; null: nothing where that may be; NaN where it is no number that may be. */
function value() {
  if (now.choices) return byId("act-choice").value;
  if (!now.number) return undefined;
  const { value: text, min, max } = byId("act-number");
  if (text.trim() === "" && now.number.mayBeNone) return null;
  const whole = text.trim() === "" ? NaN : Number(text);
  return Number.isInteger(whole) && whole >= Number(min) && whole <= Number(max) ? whole : NaN;
}

async function tryIt() {
  const act = now;
  const mine = (tries += 1);
  if (!act) return;
  const wanted = value();
  byId("act-yes").disabled = Number.isNaN(wanted) || wanted === "";
  if (byId("act-yes").disabled) return say([act.number ? t("wholeNumber", act.number) : t("noQueues")], "wrong");
  say([t("asking")], "soft");
  const told = await eachOf(act.subjects.slice(0, TRIED_MOST), (subject) => run(act, subject, wanted, "?dry_run=1"));
  if (mine !== tries || act !== now) return;
  const more = act.subjects.length - TRIED_MOST;
  say([...grouped(told), ...(more > 0 ? [t("andMore", { n: more })] : [])], told.every(({ refused }) => refused) ? "wrong" : "");
  byId("act-yes").disabled = told.every(({ refused, idle }) => refused || idle);
}

async function doIt() {
  const act = now;
  const wanted = value();
  if (!act || byId("act-yes").disabled) return;
  byId("act-yes").disabled = true;
  const told = await eachOf(act.subjects, (subject) => run(act, subject, wanted));
  byId("act-yes").disabled = false;
  const failed = told.filter(({ refused }) => refused);
  if (failed.length && act === now) say(grouped(told), "wrong");
  else if (act === now) byId("act-dialog").close();
  if (!failed.length) for (const sentence of grouped(told)) toast(sentence);
  act.done?.(failed.length === 0);
}

async function run(act, subject, wanted, query = "") {
  const [method, path, body = {}] = act.request(subject, wanted);
  try {
    const { effect: found } = await ask(method, pathOf(path) + query, body);
    return { text: effect(found), idle: found.code.startsWith("nothing_") };
  } catch (error) {
    return { text: refusedFor(error), refused: true };
  }
}

/** Why a request was refused, in words; what else went wrong is thrown again. */
export function refusedFor(error) {
  if (!(error instanceof Refused)) throw error;
  return refusal(error);
}

/** A few at a time: the server counts what one asks. */
async function eachOf(subjects, work) {
  const told = [];
  for (let from = 0; from < subjects.length; from += AT_ONCE) told.push(...await Promise.all(subjects.slice(from, from + AT_ONCE).map(work)));
  return told;
}

/** Those that a room may be moved to: all of the rules in force, nobody need wait in them. */
async function queuesOfRules() {
  try {
    const { content } = await ask("GET", pathOf("routing"));
    return [...new Set([...content.matchAll(NAMED)].map(([, quoted, plain]) => quoted ?? plain))];
  } catch (error) {
    toast(refusedFor(error), "bad");
    return [];
  }
}

function grouped(told) {
  const times = new Map();
  for (const { text } of told) times.set(text, (times.get(text) ?? 0) + 1);
  return [...times].map(([text, n]) => (told.length > 1 ? `${n} × ${text}` : text));
}

function say(sentences, kind) {
  byId("act-effects").replaceChildren(...sentences.map((text) => make("li", { class: kind, text })));
}

// ---- the acts on rooms, from the queue and from a room's life

/** `rooms`: rows of the queue, or {room, customer}. */
export async function actOnRooms(code, rooms, done) {
  const queues = code === "move" ? await queuesOfRules() : [];
  const subjects = rooms.map(({ room, customer }) => ({ id: room, name: customer ? `${customer} · ${room}` : room }));
  const path = ({ id }) => `rooms/${encodeURIComponent(id)}/${code}`;
  const more = {
    move: { choices: queues.map((name) => ({ value: name, text: name })), request: (subject, queue) => ["POST", path(subject), { queue }] },
    priority: { number: { min: -1000, max: 1000, value: rooms.length === 1 ? rooms[0].priority ?? 0 : "" }, request: (subject, priority) => ["POST", path(subject), { priority }] },
  }[code] ?? { request: (subject) => ["POST", path(subject), {}] };
  askAct({ code, subjects, grave: code === "close", done, ...more });
}
