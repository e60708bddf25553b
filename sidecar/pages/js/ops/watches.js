// The views that this page watches, over one socket. Before it ops.js, which has the socket; after it the views.
//
//   watches.watch("queue", { view: "queue", tenant, offset }, { shown(state), refused(payload) })   // replaces its last one
//   watches.unwatch("queue")
//
// Each asking has an id of its own, so that an answer to one of before is known as such. What was shown stays until the
// new answer is there.

import { Missed, changed, stateOf } from "./live.js";

const AGAIN_MS = 3000; // after the server could not answer

export class Watches {
  #say;
  #asked = 0;
  #byName = new Map();
  #byId = new Map();
  #onRefused;

  /** `say(type, payload)`: into the socket, where there is one. `onRefused(payload)`: why something can't be shown that
   * has no `refused` of its own; `null`: all of it can again. */
  constructor(say, onRefused) {
    this.#say = say;
    this.#onRefused = onRefused;
  }

  watch(name, params, told) {
    this.unwatch(name);
    const watch = { name, params, told, id: null, state: null, refused: null };
    this.#byName.set(name, watch);
    this.#ask(watch);
  }

  unwatch(name) {
    const watch = this.#byName.get(name);
    if (!watch) return;
    this.#byName.delete(name);
    this.#forget(watch);
    if (watch.refused) this.#tell();
  }

  stateOf(name) {
    return this.#byName.get(name)?.state ?? null;
  }

  /** A new socket knows of none. */
  again() {
    this.#byId.clear();
    for (const watch of this.#byName.values()) {
      watch.id = null;
      this.#ask(watch);
    }
  }

  heard(type, payload) {
    const watch = this.#byId.get(payload.watch);
    if (!watch) return;
    if (type === "ops.state") this.#shows(watch, stateOf(payload));
    else if (type === "ops.change" && watch.isFresh) this.#changes(watch, payload);
    else if (type === "error") this.#refused(watch, payload);
  }

  #changes(watch, payload) {
    try {
      this.#shows(watch, changed(watch.state, payload));
    } catch (error) {
      if (!(error instanceof Missed)) throw error;
      this.#ask(watch);
    }
  }

  #shows(watch, state) {
    watch.state = state;
    watch.isFresh = true;
    const wasRefused = Boolean(watch.refused);
    watch.refused = null;
    if (wasRefused) this.#tell();
    watch.told.shown(state);
  }

  #refused(watch, payload) {
    if (payload.code === "unavailable" || payload.code === "rate_limited") setTimeout(() => this.#byId.get(watch.id) === watch && this.#ask(watch), AGAIN_MS);
    if (watch.told.refused) return watch.told.refused(payload);
    watch.refused = payload;
    this.#tell();
  }

  #tell() {
    this.#onRefused([...this.#byName.values()].map(({ refused }) => refused).find(Boolean) ?? null);
  }

  #ask(watch) {
    this.#forget(watch);
    watch.id = `${watch.name}.${(this.#asked += 1)}`;
    watch.isFresh = false;
    this.#byId.set(watch.id, watch);
    this.#say("ops.watch", { watch: watch.id, ...watch.params });
  }

  #forget(watch) {
    if (watch.id === null || !this.#byId.delete(watch.id)) return;
    this.#say("ops.unwatch", { watch: watch.id });
  }
}
