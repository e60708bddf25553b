/* A short quiet tone for an agent's message that nobody is looking at. Off until somebody switches it on; that is kept. */

import { playNotes } from "../core/tones.js";

const KEPT = "giliran-chat-sound";
const EVERY_MS = 1500;
const LOUD = 0.06; // of 1: it may sound in an office
const NOTES = [[784, 0, 0.04], [1047, 0.1, 0.04]];

let on = recall();

export const soundIsOn = () => on;

export function switchSound() {
  on = !on;
  try {
    localStorage.setItem(KEPT, on ? "on" : "off");
  } catch {
    /* storage may be forbidden: as long as the page */
  }
  if (on) playTone();
  return on;
}

export function playTone() {
  if (on) playNotes(NOTES, LOUD, EVERY_MS);
}

function recall() {
  try {
    return localStorage.getItem(KEPT) === "on";
  } catch {
    return false;
  }
}
