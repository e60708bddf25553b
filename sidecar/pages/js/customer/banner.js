/* How the connection is: a line where it does not work. Its seconds are counted for the eye only. */

import { byId, setText } from "../core/dom.js";
import { span, t } from "../words/tongue.js";

const BEHIND_MS = 1500; // a connection that is back within this was never worth a word
const SAID = { reconnecting: "reconnectingNow", polling: "polling", closed: "refused" };

/** `shows(state)`: what may be shown of it, for a sign elsewhere. */
export function connectionBanner({ speaker, shows = () => null }) {
  let timer = 0;
  let told = "live";

  const speak = (shown) => {
    if (shown === told || shown === "connecting") return;
    speaker.say(t(SAID[shown] ?? "liveAgain"));
    told = shown;
  };
  /** `present()`: the talk, or null when there is none any more. */
  return function draw(present) {
    clearTimeout(timer);
    const talk = present();
    if (!talk) return;
    const { state, retryAt, troubleSince } = talk.connection;
    const isOver = talk.now.status === "ended";
    const young = BEHIND_MS - (Date.now() - troubleSince);
    const shown = state === "reconnecting" && young > 0 ? "live" : state;
    const left = Math.ceil(((retryAt ?? 0) - Date.now()) / 1000);
    const counts = shown === "reconnecting" && left > 0;
    if (state !== shown || counts) timer = setTimeout(() => draw(present), counts ? 1000 : young);
    shows(shown);
    byId("banner").hidden = !(shown in SAID) || isOver;
    byId("banner").className = shown === "polling" ? "notice" : "notice warn";
    byId("try-now").hidden = shown !== "reconnecting";
    if (shown in SAID) setText(byId("banner-text"), counts ? t("reconnectingIn", { span: span(left) }) : t(SAID[shown]));
    if (!isOver) speak(shown);
  };
}
