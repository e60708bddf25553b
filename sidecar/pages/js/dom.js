/* Making nodes without ever parsing text as HTML. */

const SVG = "http://www.w3.org/2000/svg";
const SPRITE = "/static/icons.svg";
const TONES = 6;
const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;
const AFTER_LINK = /[.,;:!?…]+$/u;
const TOAST_MS = 5000;

export const byId = (id) => document.getElementById(id);

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

export function icon(name, extra = "") {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${SPRITE}#${name}`);
  svg.setAttribute("class", `icon-svg ${extra}`.trim());
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Text with its http(s) addresses clickable; everything else stays text. */
export function linked(text) {
  const nodes = document.createDocumentFragment();
  let from = 0;
  for (const found of text.matchAll(LINK)) {
    const address = trimmed(found[0]);
    if (!URL.canParse(address)) continue;
    nodes.append(text.slice(from, found.index), make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow", text: address }));
    from = found.index + address.length;
  }
  nodes.append(text.slice(from));
  return nodes;
}

/** Without the full stop of the sentence, and without a bracket that was opened before the address. */
function trimmed(found) {
  let address = found.replace(AFTER_LINK, "");
  while (address.endsWith(")") && address.split("(").length < address.split(")").length) address = address.slice(0, -1).replace(AFTER_LINK, "");
  return address;
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
  const place = document.querySelector(".toasts") ?? document.body.appendChild(make("div", { class: "toasts", role: "status", "aria-live": "polite" }));
  const node = make("div", { class: `toast ${kind}`.trim(), text });
  place.append(node);
  setTimeout(() => node.remove(), TOAST_MS);
}

/** Puts `wanted` [{key, sign, make}] into `list`: known keys stay in place (focus, scroll), changed signs are made anew.
 *  A key stands for one node: the first that wants it. */
export function reconcile(list, wanted) {
  const present = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const placed = new Set();
  let at = list.firstElementChild;
  for (const item of wanted) {
    if (placed.has(item.key)) continue;
    placed.add(item.key);
    let node = present.get(item.key);
    if (node?.dataset.sign !== item.sign) {
      const fresh = item.make();
      Object.assign(fresh.dataset, { key: item.key, sign: item.sign });
      if (node && node === at) at = at.nextElementSibling;
      node?.remove();
      node = fresh;
    }
    if (node === at) at = at.nextElementSibling;
    else list.insertBefore(node, at);
  }
  for (const [key, node] of present) if (!placed.has(key)) node.remove();
}
