// A menu that is a popover: opened beside its button, with the keys that a menu has.

import { setAttr } from "./dom.js";

/** `prepare()`: before it is shown. */
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
