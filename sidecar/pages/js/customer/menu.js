/* The menu of the customer's page: sound, transcripts, the end; on a phone also what the header has no room for. */

import { soundIsOn, switchSound } from "./sound.js";
import { byId, isShown } from "../core/dom.js";

const menu = byId("menu");
const button = byId("menu-button");
const entries = () => [...menu.querySelectorAll("[role^=menuitem]")].filter(isShown);

/** `end()`: the customer wants to end the chat. The menu's button has the focus then. */
export function openMenu({ end }) {
  button.addEventListener("click", () => (menu.hidden ? show() : close(true)));
  menu.addEventListener("keydown", walk);
  menu.addEventListener("click", ({ target }) => target.closest("[role^=menuitem]") && close(true), { capture: true }); // the focus is back before anything opens
  document.addEventListener("pointerdown", ({ target }) => !byId("more").contains(target) && close());
  byId("sound").addEventListener("click", switchSound);
  byId("end").addEventListener("click", end);
}

function show() {
  byId("sound").setAttribute("aria-checked", String(soundIsOn()));
  menu.hidden = false;
  button.setAttribute("aria-expanded", "true");
  entries()[0].focus();
}

function close(toButton = false) {
  menu.hidden = true;
  button.setAttribute("aria-expanded", "false");
  if (toButton) button.focus();
}

function walk(event) {
  const all = entries();
  const at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    all[to % all.length].focus();
  }
  if (event.key === "Escape" || event.key === "Tab") close(event.key === "Escape");
}
