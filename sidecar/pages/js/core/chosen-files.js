/* Files that were chosen and not sent: they wait in the composer, in their order, and each can be taken out again. Before
 * it the button, the paste and the drop; after it the uploads. What can't be sent says why at once, and stays behind.
 */

import { icon, make } from "./dom.js";
import { wrongWith } from "./file-refusals.js";
import { bytes, onLanguage, t } from "../words/tongue.js";

export class ChosenFiles {
  #list;
  #options;
  #all = []; // {of, file, preview}
  #shown = "";

  /** `list`: an empty ul. `mostBytes()`: of a file. `why(code, file)`: in words. `left()`: the focus needs a place.
   *  `pictures`: whether they are shown; a page of somebody else may forbid it. `signal`: of the end of the page. */
  constructor(list, options) {
    this.#list = list;
    this.#options = options;
    onLanguage(() => this.draw(), { signal: options.signal });
  }

  /** Those of one conversation: each keeps its own. */
  show(of) {
    this.#shown = of;
    this.draw();
  }

  add(files, of = this.#shown) {
    const seen = (file) => (this.#options.pictures && file.type.startsWith("image/") ? URL.createObjectURL(file) : null);
    this.#all.push(...[...files].map((file) => ({ of, file, preview: seen(file) })));
    this.draw();
  }

  /** Those of the shown conversation that may be sent: they are not here any more. */
  take() {
    const mine = this.#all.filter((one) => one.of === this.#shown && !this.#wrong(one));
    mine.forEach((one) => this.#forget(one));
    this.draw();
    return mine.map(({ file }) => file);
  }

  #wrong({ file }) {
    return wrongWith(file, this.#options.mostBytes());
  }

  #forget(one) {
    this.#all = this.#all.filter((other) => other !== one);
    if (one.preview) URL.revokeObjectURL(one.preview);
  }

  #remove(one) {
    const at = [...this.#list.querySelectorAll("button")].indexOf(this.#list.getRootNode().activeElement);
    this.#forget(one);
    this.draw();
    const buttons = this.#list.querySelectorAll("button");
    if (buttons.length) buttons[Math.min(Math.max(at, 0), buttons.length - 1)].focus();
    else this.#options.left();
  }

  /** Also when another size may be sent. */
  draw() {
    const mine = this.#all.filter(({ of }) => of === this.#shown);
    this.#list.hidden = !mine.length;
    this.#list.setAttribute("aria-label", t("chosenFiles"));
    this.#list.replaceChildren(...mine.map((one) => this.#row(one)));
  }

  #row(one) {
    const { file, preview } = one;
    const wrong = this.#wrong(one);
    const label = t("removeFile", { name: file.name });
    const sight = preview ? make("img", { src: preview, alt: "", class: "kind", width: 36, height: 36 }) : plain();
    sight.addEventListener("error", () => sight.replaceWith(plain()), { once: true }); // a name that says picture is none
    const words = make("span", { class: "words" }, make("b", { dir: "auto", text: file.name }), make("small", { text: wrong ? this.#options.why(wrong, file) : bytes(file.size) }));
    const away = make("button", { type: "button", class: "quiet icon small", "aria-label": label, title: label, onclick: () => this.#remove(one) }, icon("close"));
    return make("li", { class: wrong ? "wrong" : "" }, sight, words, away);
  }
}

const plain = () => make("span", { class: "kind" }, icon("file"));
