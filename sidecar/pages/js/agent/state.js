// What the parts of the agent's page share: what is known (the desk), what the list shows, what is open, and `draw`, which
// shows all of it anew. Whoever changes something of it draws; agent.js says how.

import { Desk } from "./desk.js";
import { byId } from "../core/dom.js";

export const ROWS = 150; // that a list shows until somebody asks for more
export const WIDE = matchMedia("(min-width: 1180px)");

export const desk = new Desk();

/** `at`: the row that the keys are at; `fresh`: conversations that were just given and not opened yet. */
export const view = { tab: "mine", show: "open", filter: "", at: null, busy: true, most: ROWS, ended: () => [], agent: "", only: { unread: false, unanswered: false }, fresh: new Set() };

/** `open`: the conversation that is shown; `moves`: how often another tab or conversation was chosen. */
export const page = { open: null, moves: 0, link: null, loaded: false };

let paint = () => {};
let drawing = 0;

export function drawsWith(given) {
  paint = () => { drawing = 0; given(); };
}

/** Once a frame, however many events came. */
export function draw(now = false) {
  if (now) return paint();
  drawing ||= document.hidden ? setTimeout(paint, 200) : requestAnimationFrame(paint);
}

export const innerScreen = () => (getComputedStyle(byId("back")).display === "none" ? "all" : byId("desk").dataset.screen);

export function screen(wanted) {
  byId("desk").dataset.screen = wanted;
}
