/* After the end: what was not sent any more, and the rating, once. */

import { byId, icon, make } from "../core/dom.js";
import { onLanguage, t } from "../words/tongue.js";

const STARS = [1, 2, 3, 4, 5];

/** `rate(stars, comment)` sends it; it may throw. `signal`: of its end. Gives `draw(rating)`: what was given, null while
 *  nothing was. Who was `served` by nobody is asked for none. */
export function ratingForm({ rate, failed, signal }) {
  const form = byId("rating");
  const stars = byId("stars");
  let chosen = 0;
  let sending = false;

  const light = (upTo) => {
    [...stars.children].forEach((label, index) => label.classList.toggle("lit", index < upTo));
    byId("rate-word").textContent = upTo ? t(`rate_${upTo}`) : "";
  };
  const label = (n) => `${t("stars", { n })}: ${t(`rate_${n}`)}`;
  for (const n of STARS) {
    const input = make("input", { type: "radio", name: "stars", value: String(n), "aria-label": label(n) });
    stars.append(make("label", {}, input, icon("star")));
  }
  onLanguage(() => {
    stars.querySelectorAll("input").forEach((input) => input.setAttribute("aria-label", label(Number(input.value))));
    light(chosen);
  }, { signal });
  stars.addEventListener("change", ({ target }) => {
    chosen = Number(target.value);
    light(chosen);
    byId("rate-more").hidden = false;
    byId("ending").scrollIntoView({ block: "end" });
  });
  stars.addEventListener("pointerover", ({ target }) => light([...stars.children].indexOf(target.closest("label")) + 1 || chosen));
  stars.addEventListener("pointerleave", () => light(chosen));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sending) return;
    sending = true; // its button is not disabled: it would lose the focus
    try {
      await rate(chosen, byId("comment").value.trim());
    } catch {
      failed();
    } finally {
      sending = false;
    }
  });

  return {
    draw(rating, unsent, served) {
      byId("unsent").hidden = !unsent;
      byId("unsent-text").value = unsent;
      form.hidden = rating !== null || !served;
      byId("rated").hidden = rating === null;
      const given = byId("stars-given");
      if (rating !== null && given.childElementCount !== STARS.length) given.append(...STARS.map((n) => make("span", { class: n <= rating ? "lit" : undefined }, icon("star"))));
    },
    forget() {
      chosen = 0;
      sending = false; // that was another chat
      form.reset();
      light(0);
      byId("rate-more").hidden = true;
      byId("stars-given").replaceChildren();
    },
  };
}
