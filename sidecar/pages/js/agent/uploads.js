// Files on their way into a conversation, each shown there until it is stored or taken away. Before it the composer, after
// it REST. Whoever looks at another conversation meanwhile finds them again.

import { Refused, upload } from "./api.js";
import { inWords } from "./notices.js";
import { refusedAs, wrongWith } from "../core/file-refusals.js";
import { byId, icon, keyed, make, part, setAttr, setClass, setText } from "../core/dom.js";
import { newClientId } from "../core/outbox.js";
import { Lane } from "../core/uploads.js";
import { bytes, t } from "../words/words.js";

const NEVER = new Set([413, 415]); // this size, this kind: another try ends the same way
const WRONG = 415;

export class Uploads {
  /** `deeds`: {stored(message), refused(error, name), passed(id): the replies written so far} */
  constructor(deeds) {
    Object.assign(this, { deeds, all: [], lanes: new Map(), shown: "", mostBytes: Infinity });
  }

  /** Those of one conversation. */
  show(id) {
    this.shown = id;
    this.draw();
  }

  add(id, files) {
    const added = [...files].map((file) => ({ id, file, clientId: newClientId(), share: 0, error: null }));
    this.all.push(...added);
    for (const one of added) this.send(one);
  }

  /** In the order in which they were chosen. A repeat has the same client_id: however often it is tried, it is one
   *  message. */
  send(one) {
    Object.assign(one, { share: 0, error: null });
    this.draw();
    if (!this.lanes.has(one.id)) this.lanes.set(one.id, new Lane());
    return this.lanes.get(one.id).add(async () => {
      await this.deeds.passed(one.id); // what was written before it comes before it
      if (this.all.includes(one)) await this.sendNow(one);
    });
  }

  /** As the server would say it. */
  refusal(code) {
    return Object.assign(new Refused(WRONG, code, ""), { facts: { most: bytes(this.mostBytes) } });
  }

  async sendNow(one) {
    one.sending = new AbortController();
    try {
      const told = await this.uploaded(one);
      this.remove(one);
      this.deeds.stored({ session_id: one.id, ...(told.message ?? told) });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!this.all.includes(one)) return; // its row is here
      error.code = refusedAs(error.code, one.file);
      one.error = error;
      this.draw();
      this.deeds.refused(error, one.file.name);
    }
  }

  /** A row is here: where it is one of these, its answer got lost or is still on its way. */
  settle(clientId) {
    const one = this.all.find((each) => each.clientId === clientId);
    if (one) this.remove(one);
  }

  async uploaded(one) {
    const wrong = wrongWith(one.file, this.mostBytes);
    if (wrong) throw this.refusal(wrong);
    return upload(`sessions/${one.id}/attachments`, one.file, { client_id: one.clientId }, { progress: (share) => { one.share = share; this.draw(); }, signal: one.sending.signal });
  }

  /** One that is under way is not sent. */
  remove(one) {
    this.all = this.all.filter((other) => other !== one);
    one.sending?.abort();
    this.draw();
  }

  draw() {
    keyed(byId("uploads"), this.all.filter((one) => one.id === this.shown), (one) => one.clientId, (one) => this.make(one), update);
  }

  make(one) {
    const again = make("button", { type: "button", class: "quiet small", "data-part": "again" });
    const away = make("button", { type: "button", class: "quiet small icon", "data-part": "away" }, icon("close"));
    again.addEventListener("click", () => this.send(one));
    away.addEventListener("click", () => this.remove(one));
    return make("li", {}, icon("file"), make("span", { class: "upload-text" }, make("span", { class: "file-name", text: one.file.name, dir: "auto" }), make("small", { "data-part": "why" })),
      make("progress", { max: "1", "data-part": "bar" }), again, away);
  }
}

function update(node, { file, share, error }) {
  setClass(node, error ? "failed" : "");
  setText(part(node, "why"), error ? inWords(error, file.name) : "");
  setText(part(node, "again"), t("tryAgain"));
  part(node, "bar").value = share;
  part(node, "bar").hidden = Boolean(error);
  part(node, "again").hidden = !error || NEVER.has(error.status);
  setAttr(part(node, "bar"), "aria-label", t("uploadOf", { name: file.name }));
  for (const name of ["aria-label", "title"]) setAttr(part(node, "away"), name, t(error ? "removeUpload" : "cancelUpload", { name: file.name }));
}
