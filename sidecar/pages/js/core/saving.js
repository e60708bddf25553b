// A file to save that has no address of its own: it was fetched with what opens it, which no address should tell.

import { make } from "./dom.js";

const KEPT_MS = 60_000; // some browsers begin late

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
