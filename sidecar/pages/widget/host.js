/* The one element that the widget adds to a page: out of reach of the page's styles, above all of its layers, and there
 * again when the page has replaced what it stood in.
 */

import { paint } from "../js/core/colours.js";
import { make } from "../js/core/dom.js";
import base from "../css/base.css" with { type: "text" };
import brand from "../css/brand.css" with { type: "text" };
import thread from "../css/thread.css" with { type: "text" };
import tokens from "../css/tokens.css" with { type: "text" };
import look from "./look.css" with { type: "text" };
import { keepInside } from "./apart.js";

const TOP = "2147483000";
const ID = "callcenter-chat";
const AGAIN_MS = 100; // a page that takes it away each time gets it back no faster
const NOT_THE_PAGES = ["inert", "aria-hidden"]; // what a page's modal does to all that stands beside it

/** Gives {host, root}. `all` leaves direction alone, so that a page from right to left would mirror us. */
export function makeHost({ primaryColor }, language) {
  const host = make("div", { id: ID, lang: language, dir: "ltr", "data-turbo-temporary": true });
  const own = { all: "initial", direction: "ltr", "unicode-bidi": "isolate", position: "fixed", inset: "auto 0 0 auto", "z-index": TOP };
  for (const [name, value] of Object.entries(own)) host.style.setProperty(name, value, "important"); // whatever the page says of its divs
  paint(host, primaryColor);
  keepInside(host);
  const root = host.attachShadow({ mode: "open" });
  dress(root, [tokens, base, brand, thread, look]);
  return { host, root };
}

/** Sheets that are made by script need no leave of a page's policy; Safari before 16.4 has none. */
function dress(root, texts) {
  try {
    root.adoptedStyleSheets = texts.map(sheetOf);
  } catch {
    root.append(...texts.map((text) => make("style", { text })));
  }
}

function sheetOf(text) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  return sheet;
}

/** Puts the host into the page, and back when the page has replaced its body, or all. `returned()`: it is there again.
 *  Gives what ends it. */
export function keepInPage(host, returned) {
  let timer = 0;
  let putAt = -Infinity;
  const put = (then) => {
    timer = 0;
    putAt = performance.now();
    for (const copy of document.querySelectorAll(`[id="${ID}"]`)) if (copy !== host) copy.remove(); // from a page that was kept as text
    if (document.body && host.parentNode !== document.body) document.body.append(host);
    raise(host);
    watch();
    if (host.isConnected) then?.();
  };
  const check = () => {
    for (const name of NOT_THE_PAGES) host.removeAttribute(name);
    if (timer || stands(host)) return;
    const ms = putAt + AGAIN_MS - performance.now();
    if (ms > 0) timer = setTimeout(put, ms, returned);
    else put(returned);
  };
  const observer = new MutationObserver(check);
  const watch = () => {
    observer.disconnect();
    observer.observe(host, { attributeFilter: NOT_THE_PAGES });
    for (const node of [document, document.documentElement, document.body]) if (node) observer.observe(node, { childList: true });
  };
  host.addEventListener("toggle", check);
  put();
  putAt = -Infinity;
  return () => {
    observer.disconnect();
    clearTimeout(timer);
    host.removeEventListener("toggle", check);
    host.remove();
  };
}

const stands = (host) => host.isConnected && host.parentNode === document.body && (!host.popover || host.matches(":popover-open"));

/** Into the top layer: a transformed or clipped body is no frame for it there. */
function raise(host) {
  if (!host.showPopover || !host.isConnected) return; // an older browser: fixed, with a high z-index
  host.popover = "manual";
  try {
    if (!host.matches(":popover-open")) host.showPopover();
  } catch {
    host.popover = null; // a page that is about to leave
  }
}
