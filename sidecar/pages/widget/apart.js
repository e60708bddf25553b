/* What happens in the widget is none of the page's business: its single-key shortcuts, its focus traps and what it does
 * with pastes and dropped files hear nothing of it. Before the widget's own listeners.
 *
 * A page sees events of a shadow root as its host's, a plain div: a shortcut that spares fields would not spare ours. So keys
 * and the focus are stopped at the window, where they come first, and told again inside, where the page can't hear. Only a
 * listener of the page on the window itself that captures and was there before us has them all the same.
 */

import { composes, keepFrom } from "../js/core/keys.js";

const TOLD_INSIDE = ["keydown", "keypress", "keyup", "focusin", "focus"];
const LEAVING = ["focusout", "blur"];
const STOPPED = ["beforeinput", "input", "compositionstart", "compositionupdate", "compositionend", "paste", "copy", "cut", "dragenter", "dragover", "dragleave", "drop"];
const REACHED = "button, input, textarea, a[href], [tabindex]";
const TRAP = "[aria-modal='true'], [role='dialog'], [role='alertdialog'], dialog";

/** Once for a page, as early as can be. `host()`: the widget's, where there is one. */
export function keepApart(host) {
  for (const type of TOLD_INSIDE) addEventListener(type, (event) => event.target === host() && tellInside(event), true);
  for (const type of LEAVING) addEventListener(type, (event) => event.relatedTarget && event.relatedTarget === host() && event.target.closest?.(TRAP) && event.stopImmediatePropagation(), true);
  addEventListener("mousedown", (event) => event.target === host() && setTimeout(focusIfPrevented, 0, event, event.composedPath()[0]), true);
  addEventListener("click", (event) => event.target === host() && clickIfSwallowed(event), true);
}

/** What a capturing listener has no use for, and we have: stopped on its way out. */
export function keepInside(host) {
  for (const type of STOPPED) host.addEventListener(type, (event) => event.stopPropagation());
}

/** A modal may forbid clicks outside of itself. What it took is done again. */
function focusIfPrevented(event, target) {
  if (event.defaultPrevented) target.closest(REACHED)?.focus({ preventScroll: true });
}

function clickIfSwallowed(event) {
  const [target] = event.composedPath();
  let hasArrived = false;
  target.addEventListener("click", () => (hasArrived = true), { once: true });
  setTimeout(() => hasArrived || target.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true })));
}

function tellInside(event) {
  const [target] = event.composedPath();
  if (target === event.target) return;
  if (composes(event)) return keepFrom(event);
  event.stopImmediatePropagation();
  const all = {};
  for (const name in event) all[name] = event[name];
  if (!target.dispatchEvent(new event.constructor(event.type, { ...all, composed: false }))) event.preventDefault();
}
