/* Making nodes without ever parsing text as HTML. */

const SVG = "http://www.w3.org/2000/svg";
const SPRITE = document.querySelector("svg.sprite") ? "#i-" : "static/icons.svg#"; // a page's own asks for nothing later
const TONES = 6;
// Web addresses, also without their scheme, and e-mail addresses. Every part is bounded, so that it stays linear.
const LINK = /\bhttps?:\/\/[^\s<>"'`]+|\bwww\.[^\s<>"'`]{1,2048}|\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/giu;
const LINK_MOST = 2048; // characters; a longer one stays text
const LINKS_MOST = 100; // of one text; the others stay text
const AFTER_LINK = ".,;:!?…";
const TOAST_MS = 5000;
const shapes = {};
let place = document;

/** Where `byId` looks: the page, or a shadow root. */
export function lookIn(root) {
  place = root;
}

export const byId = (id) => place.getElementById(id);

/** make("p", { class: "soft", text: "…", onclick: … }, child, …). Undefined attributes are left out; null children too. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function setText(node, text) {
  const wanted = String(text ?? "");
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function setAttr(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function setClass(node, wanted) {
  if (node.className !== wanted) node.className = wanted;
}

/** Paths (24 × 24) by name, for whoever can't use our sprite: on another site a browser does not load it. */
export const drawIconsFrom = (paths) => Object.assign(shapes, paths);

export function icon(name, extra = "") {
  const svg = document.createElementNS(SVG, "svg");
  const inside = document.createElementNS(SVG, name in shapes ? "path" : "use");
  if (name in shapes) inside.setAttribute("d", shapes[name]);
  else inside.setAttribute("href", SPRITE + name);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon-svg ${extra}`.trim());
  svg.setAttribute("aria-hidden", "true");
  svg.append(inside);
  return svg;
}

/** Text with its web and e-mail addresses clickable; everything else stays text. */
export function linked(text) {
  const nodes = document.createDocumentFragment();
  let from = 0;
  for (const found of text.matchAll(LINK)) {
    const address = trimmed(found[0]);
    const href = hrefOf(address);
    if (address.length > LINK_MOST || !isAddress(href)) continue;
    if (nodes.children.length >= LINKS_MOST) break;
    nodes.append(text.slice(from, found.index), make("a", { href, target: "_blank", rel: "noopener noreferrer nofollow", text: address }));
    from = found.index + address.length;
  }
  nodes.append(text.slice(from));
  return nodes;
}

function hrefOf(address) {
  if (/^https?:/iu.test(address)) return address;
  return /^www\./iu.test(address) ? `https://${address}` : `mailto:${address}`;
}

/** As `URL.canParse`, which Safari has since 17. */
function isAddress(text) {
  try {
    return Boolean(new URL(text));
  } catch {
    return false;
  }
}

/** Without the full stop of the sentence, and without a bracket that was opened before the address. In one pass. */
function trimmed(found) {
  let open = 0;
  for (const letter of found) open += letter === "(" ? 1 : letter === ")" ? -1 : 0;
  let end = found.length;
  for (; end > 0; end -= 1) {
    const last = found[end - 1];
    const isForeign = last === ")" && open < 0;
    if (!isForeign && !AFTER_LINK.includes(last)) break;
    if (isForeign) open += 1;
  }
  return found.slice(0, end);
}

export function initials(name) {
  const parts = name.trim().split(/\s+/u).filter(Boolean);
  const letters = parts.length > 1 ? [parts[0], parts[parts.length - 1]] : parts;
  return letters.map((part) => [...part][0]).join("").toLocaleUpperCase() || "?";
}

export function tone(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return sum % TONES;
}

export const avatar = (name, size = "") => make("span", { class: `avatar tone-${tone(name)} ${size}`.trim(), "aria-hidden": "true", text: initials(name) });

export function toast(text, kind = "") {
  const place = document.querySelector(".toasts") ?? document.body.appendChild(make("div", { class: "toasts", "aria-live": "polite" }));
  const node = make("div", { class: `toast ${kind}`.trim(), text });
  place.append(node);
  setTimeout(() => node.remove(), TOAST_MS);
}

/** As `checkVisibility`, which Safari has since 17.4. */
export const isShown = (node) => node.getClientRects().length > 0;

const PICTURE_WIDE = 280; // pixels of a page, as .picture has it
const PICTURE_HIGH = 260;

/** The attributes that keep the room of a preview before it is there. Without its size nothing is known. */
export function roomOf({ width, height }) {
  if (!width) return {};
  const scale = Math.min(1, PICTURE_WIDE / width, PICTURE_HIGH / height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

export const part = (node, name) => node.querySelector(`[data-part="${name}"]`);

/** Makes `parent` show `items`: leavers go, stayers are changed in place, newcomers are made. A node is put in once, so a
 *  live region says it once. A key stands for one node: the first that wants it. */
export function keyed(parent, items, keyOf, create, update) {
  const wanted = new Map();
  for (const item of items) if (!wanted.has(String(keyOf(item)))) wanted.set(String(keyOf(item)), item);
  for (const node of [...parent.children]) if (!wanted.has(node.dataset.key)) node.remove();
  const here = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let at = parent.firstElementChild;
  for (const [key, item] of wanted) {
    const node = here.get(key) ?? create(item);
    node.dataset.key = key;
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

/** Changes the page; where that hid what had the focus, `next()` gets it, for it would fall to the page's very start. */
export function keepingFocus(root, change, next) {
  const had = root.activeElement;
  change();
  if (had && had !== document.body && !isShown(had)) next()?.focus({ preventScroll: true });
}
