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
