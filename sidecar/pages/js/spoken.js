/* For people who listen instead of looking: one polite place that says each new state once, and what moves only slowly.
 *
 *   const speaker = openSpeaker(node);       // a node with role="status" that nobody sees
 *   speaker.say("Connection lost.")          // at once; the same again is silence
 *   speaker.follow("Place 3 in line.")       // at once where it has been still, else its latest state after a while
 */

const SLOWLY_MS = 10_000; // a line that moves fast would talk over everything else

export function openSpeaker(node) {
  let said = "";
  let followed = "";
  let followedAt = -SLOWLY_MS;
  let timer = 0;

  const put = () => {
    followedAt = Date.now();
    node.textContent = followed;
  };
  return {
    say(text) {
      if (text && text !== said) node.textContent = text;
      said = text;
    },
    follow(text) {
      if (text === followed) return;
      followed = text;
      clearTimeout(timer);
      if (text) timer = setTimeout(put, Math.max(0, followedAt + SLOWLY_MS - Date.now()));
    },
  };
}

const HUSHED_MS = 500; // browsers tell a reader of a change some time after it

/** A log that is silent while it is filled with what was said before, or is said again in another language. */
export function openHush(log) {
  let timer = 0;
  return {
    begin() {
      clearTimeout(timer);
      log.setAttribute("aria-live", "off");
    },
    end() {
      clearTimeout(timer);
      timer = setTimeout(() => log.setAttribute("aria-live", "polite"), HUSHED_MS);
    },
  };
}
