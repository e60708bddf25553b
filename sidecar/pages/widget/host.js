/* The one element that the widget adds to a page: out of reach of the page's styles, above all of its layers. */

import { make } from "../js/dom.js";
import base from "../css/base.css" with { type: "css" };
import thread from "../css/thread.css" with { type: "css" };
import tokens from "../css/tokens.css" with { type: "css" };
import look from "./look.css" with { type: "css" };
import { paint } from "./colours.js";

const TOP = "2147483000";

/** Gives {host, root}. `all` leaves direction alone, so that a page from right to left would mirror us. */
export function addHost({ primaryColor }, language) {
  const host = make("div", { id: "callcenter-chat", lang: language, dir: "ltr" });
  const own = { all: "initial", direction: "ltr", "unicode-bidi": "isolate", position: "fixed", inset: "auto 0 0 auto", "z-index": TOP };
  for (const [name, value] of Object.entries(own)) host.style.setProperty(name, value, "important"); // whatever the page says of its divs
  paint(host, primaryColor);
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [tokens, base, thread, look];
  document.body.append(host);
  raise(host);
  return { host, root };
}

/** Into the top layer: a transformed or clipped body is no frame for it there. */
function raise(host) {
  if (!host.showPopover) return; // an older browser: fixed, with a high z-index
  host.popover = "manual";
  try {
    host.showPopover();
  } catch {
    host.popover = null; // a page that is about to leave
  }
}
