/* Above the messages of somebody who waits: their place in line, or that nobody is online, or that we are closed, and
 * a message can be left. */

import { whenClosed } from "./closed.js";
import { byId, setText } from "../core/dom.js";
import { keepDraft, recallDraft } from "../core/drafts.js";
import { t } from "../words/tongue.js";

const HOURS_FROM_S = 5400;
const ROLL = { duration: 220, easing: "cubic-bezier(.2, .8, .2, 1)" };

/** `leave(text)` sends it. `isWriting()`: there is text in the composer. `moveText(text)` takes what was typed here. */
export function waitingCards({ leave, isWriting, moveText, speaker }) {
  const field = byId("away-text");
  let name = "";
  let spoken = {};

  const clear = () => {
    field.value = "";
    keepDraft(name, "");
  };
  field.addEventListener("input", () => keepDraft(name, field.value));
  byId("away-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return field.focus();
    clear();
    leave(text);
  });

  /** Only a new place is news: the length of the line and the minutes change all the time. */
  const speak = (place, title, line) => {
    if (spoken.place !== place) spoken = { place, text: [title.replace(/\.$/, ""), line].filter(Boolean).join(". ") };
    speaker.follow(spoken.text);
  };

  return {
    open(id) {
      name = `${id}-away`;
      field.value = recallDraft(name);
      spoken = {};
    },
    /** Gives whether a message is asked for, in place of the composer. What was typed is never taken away. */
    draw(talk, status) {
      const waits = status === "waiting";
      const away = waits && (talk.agentsOnline === 0 || Boolean(talk.closed));
      const typed = field.value.trim();
      const asks = waits && (typed !== "" || (away && !talk.hasWritten && !isWriting()));
      byId("line-card").hidden = !waits || away;
      byId("away-card").hidden = !away && !asks;
      byId("away-form").hidden = !asks;
      byId("away-card").toggleAttribute("data-asks", asks);
      if (waits) {
        const line = drawPlace(talk.place);
        const told = drawAway(away, asks, talk);
        speak(away ? `away ${told}` : talk.place.position, away ? told : placeOf(talk.place.position), away ? "" : line);
      } else {
        speaker.follow("");
        if (typed) moveText(typed), clear();
      }
      return asks;
    },
  };
}

const placeOf = (position) => (position === null ? t("inLine") : position === 1 ? t("next") : t("place", { n: position }));

/** Gives the line that says how long. */
function drawPlace({ position, waiting, eta, isWorse }) {
  const number = byId("place-number");
  const isNew = number.textContent && number.textContent !== String(position ?? "–");
  setText(number, String(position ?? "–"));
  if (isNew && !matchMedia("(prefers-reduced-motion: reduce)").matches) number.animate([{ opacity: 0, transform: "translateY(10px)" }, {}], ROLL);
  number.toggleAttribute("data-long", String(position ?? "").length > 2);
  setText(byId("place-title"), position > 1 && waiting > position ? t("placeOf", { n: position, of: waiting }) : placeOf(position));
  const line = [isWorse && t("placeWorse"), hope(eta)].filter(Boolean).join(" ");
  setText(byId("place-line"), line);
  return line;
}

/** `eta`: a range in seconds, null where nobody knows. */
function hope(eta) {
  if (eta === null) return t("expectUnknown");
  if (eta.high === 0) return t("almost");
  const isHours = eta.high > HOURS_FROM_S;
  const unit = isHours ? 3600 : 60;
  const low = calm(Math.floor(eta.low / unit), Math.floor), high = calm(Math.ceil(eta.high / unit), Math.ceil);
  const words = isHours ? "Hours" : "Minutes";
  return low === 0 ? t(`expectUpTo${words}`, { n: high }) : low === high ? t(`expect${words}`, { n: high }) : t(`expectFrom${words}`, { low, n: high });
}

/** Above ten in steps of five: nobody knows it better. */
const calm = (n, round) => (n <= 10 ? n : round(n / 5) * 5);

/** Gives the title. */
function drawAway(away, asks, talk) {
  const kept = !asks && talk.hasWritten;
  const { closed } = talk;
  const n = talk.place.position ?? 1;
  const title = kept ? t("awayKept") : t(closed ? "closedTitle" : away ? "awayTitle" : "awayBack");
  const shut = closed && whenClosed(closed, kept ? "closedKept" : "closedText", { n });
  setText(byId("away-title"), title);
  setText(byId("away-line"), shut || (kept ? t("awayKeptText", { n }) : t(away ? "awayText" : "awayBackText")));
  return title;
}
