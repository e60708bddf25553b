/* The words on a page: marked places, the language that was chosen, and who wants to know of it. What is said: tongue.js.
 *
 *   import { addWords, t, translate, onLanguage } from "./words.js";      // all of tongue.js, too
 *   <p data-t="greet">, data-t-label (aria-label), data-t-title, data-t-placeholder, [data-language="id"] buttons
 *   translate(document) once
 */

import { LANGUAGES, currentLanguage, languageOf, onLanguage, setLanguage, spoken, t } from "./tongue.js";

export * from "./tongue.js";

const KEPT = "giliran-language";
const PLACES = { t: (node, text) => (node.textContent = text), tLabel: "aria-label", tTitle: "title", tPlaceholder: "placeholder" };

setLanguage(kept() ?? spoken(navigator.languages ?? [navigator.language]));

onLanguage(() => translate(document)); // before all others: they draw what code has made

export function speak(wanted) {
  if (!LANGUAGES.includes(wanted)) return;
  try {
    localStorage.setItem(KEPT, wanted);
  } catch {
    /* storage may be forbidden: the page works without */
  }
  setLanguage(wanted);
}

/** Puts the words into everything marked, and the language into <html lang>. */
export function translate(root) {
  document.documentElement.lang = currentLanguage();
  for (const [mark, place] of Object.entries(PLACES)) {
    const attribute = `data-${mark.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    for (const node of root.querySelectorAll(`[${attribute}]`)) {
      const text = t(node.getAttribute(attribute));
      if (typeof place === "string") node.setAttribute(place, text);
      else place(node, text);
    }
  }
  for (const button of root.querySelectorAll("[data-language]")) button.setAttribute(button.getAttribute("role") === "menuitemradio" ? "aria-checked" : "aria-pressed", String(button.dataset.language === currentLanguage()));
}

addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-language]");
  if (button) speak(button.dataset.language);
});
addEventListener("storage", (event) => event.key === KEPT && event.newValue && event.newValue !== currentLanguage() && speak(event.newValue));

function kept() {
  try {
    const value = languageOf(localStorage.getItem(KEPT));
    return LANGUAGES.includes(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
