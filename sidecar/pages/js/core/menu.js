// A menu beside its button, with the keys that a menu has. No popover: Safari has them since 17.

import { isShown, setAttr } from "./dom.js";

/** `prepare()`: before it is shown. Gives what closes it, the focus back at its button. */
export function wireMenu(button, menu, prepare = () => {}) {
  const close = (toButton = true) => {
    if (menu.hidden) return;
    menu.hidden = true;
    setAttr(button, "aria-expanded", false);
    if (toButton) button.focus();
  };
  const open = () => {
    prepare();
    menu.hidden = false;
    setAttr(button, "aria-expanded", true);
    place(menu, button.getBoundingClientRect());
    itemsOf(menu)[0]?.focus();
  };
  button.addEventListener("click", () => (menu.hidden ? open() : close()));
  document.addEventListener("pointerdown", ({ target }) => !menu.contains(target) && !button.contains(target) && close(false));
  menu.addEventListener("click", ({ target }) => target.closest("[role=menuitem]") && close(), true); // the focus is back before anything opens
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Tab") return close();
    if (event.key === "Escape") return event.stopPropagation(), close();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = itemsOf(menu);
    items.at((items.indexOf(document.activeElement) + step) % items.length)?.focus();
  });
  return close;
}

const itemsOf = (menu) => [...menu.querySelectorAll("[role^=menuitem]")].filter(isShown);

function place(menu, near) {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.min(Math.max(8, near.right - width), innerWidth - width - 8);
  const below = near.bottom + 6 + height < innerHeight;
  menu.style.setProperty("left", `${Math.max(8, left)}px`);
  menu.style.setProperty("top", `${below ? near.bottom + 6 : Math.max(8, near.top - height - 6)}px`);
}
