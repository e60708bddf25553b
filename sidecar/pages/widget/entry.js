/* CallCenterChat: the chat on somebody else's page. One file, nothing else to load; nothing of it leaks into the page or
 * out of it. Its modules are joined when it is asked for (sidecar/widget.py).
 *
 *   <script src="https://chat.example.com/chat-widget.js"></script>
 *   <script>CallCenterChat.init({ apiUrl: "https://chat.example.com", tenantId: "shop" })</script>
 *
 * Options, all optional: apiUrl (where this file came from), tenantId (the only one), primaryColor, position ("right",
 * "left"), title, greeting, locale ("en", "id"; the page's, else the browser's), theme ("auto", "light", "dark"), name,
 * email and userHash (HMAC-SHA256 of the e-mail with the tenant's secret: proves to agents who it is), properties (an
 * object of texts, numbers, true and false, by which the tenant's rules route) with propertiesHash (proves them), topic.
 * CallCenterChat.open(), .close(), .destroy(). A second init while one is there changes nothing, nor does this file when it
 * is loaded again: on pages that replace their body (Turbo, view transitions) the widget stays as it is.
 */

import { keepApart } from "./apart.js";
import { Widget } from "./widget.js";

const script = document.currentScript?.src; // only while this file runs for the first time
const HOME = new URL(".", script ?? location.origin).href;

let widget = null;
let wanted = null;
const whenReady = (then) => (document.body ? then() : addEventListener("DOMContentLoaded", then, { once: true }));

const chat = Object.freeze({
  init(options = {}) {
    if (wanted) return;
    wanted = { apiUrl: HOME, ...options };
    whenReady(() => wanted && (widget ??= new Widget(wanted)));
  },
  open() {
    whenReady(() => widget?.open());
  },
  close() {
    widget?.close();
  },
  destroy() {
    widget?.destroy();
    widget = wanted = null;
  },
});

if (!window.CallCenterChat) {
  keepApart(() => widget?.host);
  window.CallCenterChat = chat;
}
