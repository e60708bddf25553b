/* The first load of a talk, tried until it is there; between the key of a session and the chat that is shown. */

import { wait } from "../core/link.js";

const SLOW_MS = 6000; // one that takes longer is told

/** Gives whether it is there, and still wanted. `isWanted()` is asked before each try; `trouble()`: it takes long or does
 *  not work, and goes on; `gone()`: there is no such session. */
export async function firstLoad(talk, { isWanted, trouble, gone }) {
  const slow = setTimeout(() => isWanted() && trouble(), SLOW_MS);
  try {
    for (let tries = 1; isWanted(); tries += 1) {
      try {
        await talk.open();
        return isWanted();
      } catch (error) {
        if (!isWanted()) return false;
        if (error.status === 404) return gone(), false;
        trouble();
        await new Promise((done) => setTimeout(done, wait(tries + 1)));
      }
    }
    return false;
  } finally {
    clearTimeout(slow);
  }
}
