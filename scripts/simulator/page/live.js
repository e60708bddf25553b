// The live stream: one EventSource, opened again when it ends, with an honest word on whether it stands.

import { at } from "./api.js";

const AGAIN_MS = 1000;
const AGAIN_MOST_MS = 10000;

/** Calls `state` and `happened` as they come, and `standing` with connecting, live or lost. Returns how to stop. */
export function listen({ state, happened, standing }) {
  let source;
  let timer;
  let wait = AGAIN_MS;

  function open() {
    source = new EventSource(at("events"));
    source.addEventListener("state", (event) => state(JSON.parse(event.data)));
    source.addEventListener("happened", (event) => happened(JSON.parse(event.data)));
    source.onopen = () => { wait = AGAIN_MS; standing("live"); };
    source.onerror = () => {
      standing("lost");
      if (source.readyState === EventSource.CLOSED) again(); // the browser gives up on some errors, this page does not
    };
  }

  function again() {
    timer = setTimeout(open, wait);
    wait = Math.min(wait * 2, AGAIN_MOST_MS);
  }

  standing("connecting");
  open();
  return () => { clearTimeout(timer); source.close(); };
}
