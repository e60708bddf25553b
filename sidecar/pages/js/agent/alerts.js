// How an agent who looks elsewhere learns of something: title, sound, desktop notification. Each can be off.
// Permission is asked when somebody presses the button, never by itself.

import { playNotes } from "../core/tones.js";

const KEPT = "giliran-agent-alerts";
const TUNES = { message: [[880, 0, 0.09]], assigned: [[660, 0, 0.1], [990, 0.11, 0.16]], queued: [[587, 0, 0.1], [587, 0.17, 0.1]] };
const SOUND_EVERY_MS = 1200;
const LOUD = 0.09;

const chosen = { sound: true, notify: "ask", queue: null, keys: true, ...recall() }; // queue: null until somebody chooses

export const sound = () => chosen.sound;
export const supported = () => "Notification" in window;
export const notifying = () => chosen.notify === "yes" && supported() && Notification.permission === "granted";
export const offered = () => chosen.notify === "ask" && supported() && Notification.permission === "default";
export const blocked = () => supported() && Notification.permission === "denied";

export function setSound(on) { keep({ sound: on }); if (on) play("message"); }
/** Of a new customer in the line. Agents are told unless they turn it off, supervisors once they turn it on. */
export const queueWanted = (boss) => chosen.queue ?? !boss;
export function setQueue(on) { keep({ queue: on }); if (on) play("queued"); }
/** Whether single keys do something (WCAG 2.1.4: they can be turned off). */
export const singleKeys = () => chosen.keys;
export function setSingleKeys(on) { keep({ keys: on }); }
export function refuseNotify() { keep({ notify: "no" }); }

export async function askNotify() {
  const answer = await Notification.requestPermission();
  keep({ notify: answer === "granted" ? "yes" : "no" });
  return answer;
}

export function play(tune) {
  if (chosen.sound) playNotes(TUNES[tune], LOUD, SOUND_EVERY_MS);
}

export function notify(title, body, tag, clicked) {
  if (!notifying() || (!document.hidden && document.hasFocus())) return;
  try {
    const shown = new Notification(title, { body, tag, icon: "static/favicon.svg" });
    shown.onclick = () => { window.focus(); shown.close(); clicked(); };
  } catch (error) {
    console.info("no notification", error.name); // phones want a service worker for it
  }
}

export function badge(n, title) {
  const wanted = n ? `(${n}) ${title}` : title;
  if (document.title !== wanted) document.title = wanted;
}

function keep(change) {
  Object.assign(chosen, change);
  try {
    localStorage.setItem(KEPT, JSON.stringify(chosen));
  } catch (error) {
    console.info("the choice is not kept", error.name);
  }
}

function recall() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}
