// Small hands for the DOM: made once, changed in place, so that focus and scroll stay where the person left them.

export const byId = (id) => document.getElementById(id);

export function el(tag, { cls, text, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function setAttr(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export const part = (node, name) => node.querySelector(`[data-part="${name}"]`);

/** Makes `parent` show `items`: leavers go first, stayers are changed in place, newcomers are made. */
export function keyed(parent, items, keyOf, make, update) {
  const wanted = new Map(items.map((item) => [String(keyOf(item)), item]));
  for (const node of [...parent.children]) if (!wanted.has(node.dataset.key)) leave(node);
  const here = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let at = parent.firstElementChild;
  for (const [key, item] of wanted) {
    const node = here.get(key) ?? keyedNode(make(item), key);
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

function keyedNode(node, key) {
  node.dataset.key = key;
  return node;
}

/** A row that goes while it has the focus hands it to its neighbour, so that the keyboard is not thrown to the top. */
function leave(node) {
  if (node.contains(document.activeElement)) {
    const next = node.nextElementSibling ?? node.previousElementSibling;
    const heir = next?.querySelector("button") ?? node.closest("section")?.querySelector("h2");
    node.remove();
    heir?.focus();
  } else node.remove();
}
