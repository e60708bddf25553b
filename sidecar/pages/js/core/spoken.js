/* For people who listen instead of looking: one polite place that says each new state once, and what moves only slowly;
 * another for what is said in the conversation.
 *
 *   const speaker = openSpeaker(node);       // a node with aria-live that nobody sees; without a role, see below
 *   speaker.say("Connection lost.")          // at once; the same again is silence
 *   speaker.follow("Place 3 in line.")       // at once where it has been still, else its latest state after a while
 *
 *   const reader = openReader(region, (row) => "Ani: Good morning")   // a region with aria-live that nobody sees
 *   reader.begin(12); reader.read(rows)      // says what came after row 12
 *
 * Regions that are empty most of the time have no role: where a status without words ends a page, Orca 43 reads it for ever.
 */

import { make } from "./dom.js";

const SLOWLY_MS = 10_000; // a line that moves fast would talk over everything else
const KEPT_MS = 20_000; // a reader that is slow has read it by then

export function openSpeaker(node) {
  let said = "";
  let followed = "";
  let followedAt = -SLOWLY_MS;
  let timer = 0;
  let taking = 0;

  /** It is true for a while: whoever goes through the page later finds it where it is shown, or nowhere. */
  const put = (text) => {
    node.textContent = text;
    clearTimeout(taking);
    taking = setTimeout(() => (node.textContent = ""), KEPT_MS);
  };
  const putFollowed = () => {
    followedAt = Date.now();
    put(followed);
  };
  return {
    say(text) {
      if (text && text !== said) put(text);
      said = text;
    },
    follow(text) {
      if (text === followed) return;
      if (node.textContent === followed) node.textContent = ""; // it is not so any more
      followed = text;
      clearTimeout(timer);
      if (text) timer = setTimeout(putFollowed, Math.max(0, followedAt + SLOWLY_MS - Date.now()));
    },
  };
}

const KEPT_MOST = 50; // after a long absence

/** A sentence into a live region of many. A node of its own each time: the same words again are said again. */
export function tell(region, text) {
  const said = make("p", { text, dir: "auto" });
  region.append(said);
  if (region.childElementCount > KEPT_MOST) region.firstElementChild.remove();
  setTimeout(() => said.remove(), KEPT_MS);
}

/** What comes into a conversation is said once, each row as one sentence; what was there before is not. The log itself is
 *  no live region: of that, readers tell names, times and texts one by one, and some of them twice. */
export function openReader(region, sentence) {
  let upTo = Infinity; // the last row that was said, or was there before
  return {
    hush() {
      upTo = Infinity;
      region.replaceChildren();
    },
    begin: (last) => (upTo = last),
    read(rows) {
      for (const row of rows) {
        if (row.seq <= upTo) continue;
        upTo = row.seq;
        const text = sentence(row);
        if (text) tell(region, text);
      }
    },
  };
}
