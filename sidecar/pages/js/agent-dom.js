// Small hands for the DOM of the agent's page: nodes are changed in place, so that focus and scroll stay where they are.

import { initials, tone } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function el(tag, { cls, text, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter(Boolean));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("class", "icon-svg");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
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

/** First letters in a colour that a name always has. */
export function paintAvatar(node, name, extra = "") {
  setText(node, initials(name));
  setClass(node, `avatar tone-${tone(name)} ${extra}`.trim());
}

/** The bot is nobody: it has a sign instead of letters. */
export function paintBot(node, extra = "") {
  if (!node.firstElementChild) node.replaceChildren(icon("bot"));
  setClass(node, `avatar bot-face ${extra}`.trim());
}

/** Makes `parent` show `items`: leavers go first, stayers are changed in place, newcomers are made. */
export function keyed(parent, items, keyOf, make, update) {
  const wanted = new Map(items.map((item) => [String(keyOf(item)), item]));
  for (const node of [...parent.children]) if (!wanted.has(node.dataset.key)) node.remove();
  const here = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let at = parent.firstElementChild;
  for (const [key, item] of wanted) {
    const node = here.get(key) ?? Object.assign(make(item));
    node.dataset.key = key;
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

export const part = (node, name) => node.querySelector(`[data-part="${name}"]`);

/** Opens `menu` (a popover) beside its button, and gives it the keys that a menu has. */
export function wireMenu(button, menu, prepare = () => {}) {
  button.addEventListener("click", () => (menu.matches(":popover-open") ? menu.hidePopover() : menu.showPopover()));
  menu.addEventListener("beforetoggle", (event) => { if (event.newState === "open") prepare(); });
  menu.addEventListener("toggle", (event) => {
    const open = event.newState === "open";
    setAttr(button, "aria-expanded", open);
    if (!open) return;
    place(menu, button.getBoundingClientRect());
    itemsOf(menu)[0]?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = itemsOf(menu);
    items.at((items.indexOf(document.activeElement) + step) % items.length)?.focus();
  });
  menu.addEventListener("click", (event) => { if (event.target.closest("[role=menuitem]")) menu.hidePopover(); });
}

const itemsOf = (menu) => [...menu.querySelectorAll("[role^=menuitem]")].filter((item) => item.getClientRects().length);

function place(menu, near) {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.min(Math.max(8, near.right - width), innerWidth - width - 8);
  const below = near.bottom + 6 + height < innerHeight;
  menu.style.setProperty("left", `${Math.max(8, left)}px`);
  menu.style.setProperty("top", `${below ? near.bottom + 6 : Math.max(8, near.top - height - 6)}px`);
}
