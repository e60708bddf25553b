/* What the widget keeps in the browser, under the host page's origin: the chat for all tabs, what is open for this one. */

export class Kept {
  #memory = {}; // storage may be forbidden: then it lasts as long as the page

  constructor(name) {
    this.name = name;
  }

  get(key) {
    return this.#all()[key];
  }

  put(more) {
    const all = { ...this.#all(), ...more };
    this.#memory = all;
    try {
      localStorage.setItem(this.name, JSON.stringify(all));
    } catch {
      /* see #memory */
    }
  }

  get wasOpen() {
    try {
      return sessionStorage.getItem(this.name) === "open";
    } catch {
      return false;
    }
  }

  set wasOpen(is) {
    try {
      if (is) sessionStorage.setItem(this.name, "open");
      else sessionStorage.removeItem(this.name);
    } catch {
      /* it opens closed */
    }
  }

  #all() {
    try {
      return JSON.parse(localStorage.getItem(this.name) ?? "null") ?? this.#memory;
    } catch {
      return this.#memory;
    }
  }
}
