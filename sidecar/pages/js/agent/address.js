// The open conversation stands in the page's address: a reload shows it again, and Back closes it, on a phone too.
// Before it agent.js, which opens and closes; after it the browser's history: one entry more, however many are opened.

const ID = /^#([0-9A-Za-z_-]{1,64})$/;

/** The conversation that the address names, or null. */
export const addressed = () => ID.exec(location.hash)?.[1] ?? null;

export function address(id) {
  if (addressed() === id) return;
  const url = id ? `#${id}` : location.pathname + location.search;
  if (id && !history.state?.pushed) history.pushState({ pushed: true }, "", url);
  else history.replaceState(history.state, "", url);
}

/** `moved(id)`: Back, Forward, or another address was chosen. */
export function wireAddress(moved) {
  addEventListener("popstate", () => moved(addressed()));
}
