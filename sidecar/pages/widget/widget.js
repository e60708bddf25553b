/* The widget: a button on somebody's page, and the chat that it opens. What is known is in talk.js; the parts that the
 * customer's page has, too, are the same; here is what is between them.
 */

import { addressOf, ask, servedBy } from "../js/core/api.js";
import { drawThread, sentence } from "../js/customer/bubbles.js";
import { connectionBanner } from "../js/customer/banner.js";
import { composer } from "../js/customer/composer.js";
import { ratingForm } from "../js/customer/ending.js";
import { waitingCards } from "../js/customer/line.js";
import { playTone, soundIsOn, switchSound } from "../js/customer/sound.js";
import { startForm } from "../js/customer/start.js";
import { byId, icon, initials, isShown, keepingFocus, lookIn, make, setText } from "../js/core/dom.js";
import { firstLoad } from "../js/customer/first-load.js";
import { leaveToInputMethod } from "../js/core/keys.js";
import { openReader, openSpeaker } from "../js/core/spoken.js";
import { Talk } from "../js/customer/talk.js";
import { WANTS_PERSON } from "../js/core/thread.js";
import { setLanguage, spoken, t } from "../js/words/tongue.js";
import "../js/words/chat.js";
import { keepInPage, makeHost } from "./host.js";
import "./icons.js";
import { Kept } from "./kept.js";
import { askInside, buildLauncher, buildPanel } from "./panel.js";
import "./words.js";

const WHOLE_SCREEN = matchMedia("(max-width: 480px), (max-height: 480px)"); // as in look.css
const NEAR_PX = 80;
const MOST_BYTES = 10 * 1024 * 1024; // where the server does not say
const PROBLEM_MS = 8000;
const MOST_SHOWN = 9;

export class Widget {
  #options;
  #kept;
  #root;
  #panel;
  #launcher = null;
  #parts;
  #view = "start"; // start, loading, nowhere, chat
  #talk = null;
  #desk = null;
  #drawing = 0;
  #drawn = 0; // rows
  #unread = 0;
  #atEnd = true; // of the messages, where new ones are followed
  #endsHere = false;
  #question = null; // whether it shall end: takes it away
  #goAway = () => {}; // out of the page
  #focused = null; // what had the focus a moment ago
  #scrolled = 0;
  #scrollBehind = null; // of the page behind a whole screen
  #watches = new AbortController();
  #sizes = new ResizeObserver(() => (this.#atEnd ? this.#toBottom() : this.#drawNewest()));

  constructor(options) {
    this.#options = options;
    const language = spoken([String(options.locale ?? ""), document.documentElement.lang, ...(navigator.languages ?? [])]);
    setLanguage(language);
    servedBy(options.apiUrl);
    this.#kept = new Kept(`callcenter-chat ${addressOf("/api/v1/")} ${options.tenantId ?? ""}`);
    const { host, root } = makeHost(options, language);
    [this.host, this.#root] = [host, root];
    this.#panel = buildPanel(options);
    this.#launcher = buildLauncher();
    const theme = ["light", "dark"].includes(options.theme) ? options.theme : undefined;
    root.append(make("div", { class: /left/.test(options.position ?? "") ? "all left" : "all", "data-brand": true, "data-theme": theme }, this.#panel, this.#launcher));
    lookIn(root);
    this.#goAway = keepInPage(host, () => this.#returned());
    this.#parts = this.#join();
    this.#drawSound();
    this.#listen();
    this.#watch();
    this.#arrive();
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  /** `byItself`: as it was before the page was left; nobody is taken out of what they do. */
  open({ byItself = false } = {}) {
    if (this.isOpen) return;
    this.#panel.hidden = false;
    this.#kept.wasOpen = true;
    this.#fit();
    this.#askDesk();
    this.#draw();
    this.#toBottom();
    if (!byItself || WHOLE_SCREEN.matches) this.#place()?.focus({ preventScroll: true });
  }

  close() {
    if (!this.isOpen) return;
    const had = this.#root.activeElement;
    this.#panel.hidden = true;
    this.#kept.wasOpen = false;
    this.#fit();
    this.#drawLauncher();
    if (had) this.#launcher.focus();
  }

  destroy() {
    this.close();
    this.#talk?.close();
    this.#talk = null;
    clearTimeout(this.#drawing);
    this.#watches.abort();
    this.#sizes.disconnect();
    this.#goAway();
  }

  /* --- the parts that the customer's page has, too, and what ties them together */

  #join() {
    const { tenantId, userHash, name, email, properties, propertiesHash, topic } = this.#options;
    const { signal } = this.#watches;
    const speaker = openSpeaker(byId("spoken"));
    const write = composer({ talk: () => this.#talk, said: () => this.#toBottom(), mostBytes: () => (this.#desk?.upload_max_mb ? this.#desk.upload_max_mb * 1024 * 1024 : MOST_BYTES), pictures: false, signal });
    return {
      write,
      reader: openReader(byId("told"), sentence),
      banner: connectionBanner({ speaker }),
      cards: waitingCards({ leave: (text) => this.#leave(text), isWriting: () => write.typed !== "", moveText: write.add, speaker }),
      start: startForm({ tenant: tenantId, kept: `${this.#kept.name} start`, proof: userHash, known: { properties, propertiesHash, topic }, isKnown: Boolean(name && email), started: (session) => this.#begun(session), again: () => this.#askDesk(), signal }),
      rating: ratingForm({ rate: (stars, comment) => this.#talk.rate(stars, comment), failed: () => this.#say("rateFailed"), signal }),
    };
  }

  #listen() {
    const clicked = (id, then) => byId(id).addEventListener("click", then);
    clicked("launcher", () => (this.isOpen ? this.close() : this.open()));
    clicked("close", () => this.close());
    clicked("end", () => this.#askEnd());
    clicked("sound", () => (switchSound(), this.#drawSound()));
    clicked("try-now", () => this.#talk.link.retryNow());
    clicked("load-now", () => this.#resume(this.#talk.key, this.#talk.id));
    clicked("newest", () => (this.#toBottom(), this.#place()?.focus({ preventScroll: true })));
    clicked("person", () => (this.#talk.say(WANTS_PERSON), byId("text").focus()));
    clicked("new-chat", () => this.#forget());
    clicked("ending-transcript", () => this.#talk.saveTranscript("txt").catch(() => this.#say("saveFailed")));
    leaveToInputMethod(this.#root);
    this.#root.addEventListener("keydown", (event) => this.#key(event));
    this.#root.addEventListener("focusin", ({ target }) => (this.#focused = target));
    this.#root.addEventListener("focusout", () => setTimeout(() => (this.#focused = this.#root.activeElement))); // a page that replaces its body takes it, too
    byId("log").addEventListener("grown", () => this.#atEnd && this.#toBottom());
    byId("scroll").addEventListener("scroll", () => {
      this.#atEnd = this.#isAtEnd();
      this.#scrolled = byId("scroll").scrollTop;
      this.#drawNewest();
      this.#saw();
    }, { passive: true });
    this.#sizes.observe(byId("scroll"));
  }

  #watch() {
    const { signal } = this.#watches;
    addEventListener("storage", ({ key }) => key === this.#kept.name && this.#lookAround(), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && this.#lookAround(), { signal });
    document.addEventListener("visibilitychange", () => this.#soon(), { signal });
    WHOLE_SCREEN.addEventListener("change", () => this.#fit(), { signal });
  }

  /* --- from one view to the next */

  #arrive() {
    const { name, email } = this.#options;
    this.#parts.start.show({ name: name ?? this.#kept.get("name"), email: email ?? this.#kept.get("email") });
    const key = this.#kept.get("key");
    if (key) this.#resume(key, this.#kept.get("id"));
    this.#draw();
    if (this.#kept.wasOpen) this.open({ byItself: true });
  }

  /** The page has replaced what the widget stood in. */
  #returned() {
    if (!this.isOpen) return;
    const scrolled = this.#scrolled;
    if (this.#atEnd && this.#view === "chat") this.#toBottom();
    else byId("scroll").scrollTop = scrolled;
    if (this.#focused && !this.#root.activeElement) this.#focused.focus({ preventScroll: true });
  }

  /** Most visitors of a site never open the chat: nothing is asked for them. */
  async #askDesk() {
    const { tenantId } = this.#options;
    try {
      const desk = await ask("GET", `public/desk${tenantId ? `?tenant_id=${encodeURIComponent(tenantId)}` : ""}`);
      if (!this.#watches.signal.aborted) this.#knowDesk(desk);
    } catch ({ status }) {
      if (status === 404 && this.#view === "start" && !this.#watches.signal.aborted) this.#become("nowhere");
    }
  }

  #knowDesk(desk) {
    this.#desk = desk;
    this.#parts.start.about(desk);
    this.#soon();
  }

  #become(view) {
    this.#view = view;
    if (view === "loading") setText(byId("loading-text"), t("loading"));
    if (view === "nowhere") setText(byId("loading-text"), t("tenantUnknown"));
    byId("load-now").hidden = true;
    this.#draw();
  }

  async #begun({ session_key: key, session_id: id, name, email }) {
    if (this.#watches.signal.aborted) return; // destroyed meanwhile
    this.#kept.put({ key, id, name, email, seen: 0 });
    await this.#resume(key, id);
    if (this.isOpen) this.#place()?.focus({ preventScroll: true });
  }

  async #resume(key, id) {
    this.#talk?.close();
    const mine = (this.#talk = new Talk(key, id ?? key, { previews: false, changed: () => this.#soon(), lost: (why) => why === "not_found" && this.#forget("lostSession") }));
    const isWanted = () => this.#talk === mine;
    const { rating, reader, write, cards } = this.#parts;
    rating.forget();
    this.#question?.(); // it was about the chat before
    reader.hush();
    byId("log").replaceChildren();
    this.#drawn = 0;
    this.#endsHere = false;
    if (this.#view !== "loading") this.#become("loading");
    if (!(await firstLoad(mine, { isWanted, trouble: () => this.#unreachable(), gone: () => this.#forget("lostSession") }))) return;
    reader.begin(mine.thread.last);
    this.#become("chat");
    write.open();
    cards.open(mine.id);
    this.#draw();
    this.#toBottom();
  }

  #unreachable() {
    setText(byId("loading-text"), t("unreachable"));
    byId("load-now").hidden = false;
  }

  /** Another tab may have begun a chat, or seen what was said. What was typed here is not lost. */
  async #lookAround() {
    const key = this.#kept.get("key");
    const isFree = !this.#talk || (this.#view === "chat" && this.#talk.now.status === "ended");
    this.#soon();
    if (!key || !isFree || key === this.#talk?.key) return;
    const typed = this.#parts.start.takeQuestion();
    await this.#resume(key, this.#kept.get("id"));
    if (typed && this.#talk?.key === key) this.#parts.write.add(typed);
  }

  #forget(why) {
    const { write, start } = this.#parts;
    const typed = write.typed;
    write.clear();
    this.#talk?.close();
    this.#talk = null;
    this.#unread = 0;
    this.#kept.put({ key: null, id: null });
    start.show({ name: this.#kept.get("name"), email: this.#kept.get("email") }, typed);
    start.trouble(why ? t(why) : "");
    this.#become("start");
    byId("scroll").scrollTop = 0;
    if (this.isOpen) start.place.focus({ preventScroll: true });
  }

  #askEnd() {
    const { now } = this.#talk;
    this.#question = askInside(this.#panel, {
      text: `${t("endTitle")} ${t(now.status === "waiting" ? "endWaiting" : "endText")}`,
      no: () => byId("end").focus(),
      yes: async () => {
        this.#endsHere = true;
        await this.#talk.end().catch((error) => {
          if (error.code !== "session_ended") throw error;
        });
        this.#soon();
      },
    });
  }

  #leave(text) {
    this.#talk.say(text);
    this.#draw();
    this.#toBottom();
  }

  /** What went wrong, for a while. */
  #say(key) {
    setText(byId("problem"), t(key));
    const problem = byId("problem");
    problem.hidden = false;
    setTimeout(() => (problem.hidden = true), PROBLEM_MS);
  }

  /* --- keys and focus */

  #key(event) {
    if (event.key === "Escape" && this.isOpen) {
      event.stopPropagation();
      this.close();
    }
    if (event.key === "Tab" && this.isOpen && (WHOLE_SCREEN.matches || this.#panel.querySelector(".ask"))) this.#turn(event);
  }

  /** From the last to the first: what is behind can't be seen. */
  #turn(event) {
    const all = [...this.#panel.querySelectorAll("button, input, select, textarea, a[href], [tabindex='0']")].filter((node) => isShown(node) && node.tabIndex >= 0 && !node.closest("[inert]"));
    const [from, to] = event.shiftKey ? [all.at(0), all.at(-1)] : [all.at(-1), all.at(0)];
    if (this.#root.activeElement !== from) return;
    event.preventDefault();
    to.focus();
  }

  /** Where the focus belongs, also when its place is gone. */
  #place() {
    if (this.#view === "start") return this.#parts.start.place;
    if (this.#view !== "chat") return byId("load-now").hidden ? byId("close") : byId("load-now");
    if (this.#talk.now.status === "ended") return byId(this.#talk.rating === null ? "ending-title" : "rated");
    return byId("composer").hidden ? byId("away-text") : byId("text");
  }

  /** The panel may be the whole screen: the page behind it neither scrolls nor is read out. */
  #fit() {
    const whole = this.isOpen && WHOLE_SCREEN.matches;
    this.#launcher.setAttribute("aria-expanded", String(this.isOpen));
    this.#launcher.hidden = whole;
    if (whole) this.#panel.setAttribute("aria-modal", "true");
    else this.#panel.removeAttribute("aria-modal");
    const { style } = document.documentElement;
    if (whole && this.#scrollBehind === null) {
      this.#scrollBehind = style.overflow;
      style.overflow = "hidden";
    } else if (!whole && this.#scrollBehind !== null) {
      style.overflow = this.#scrollBehind;
      this.#scrollBehind = null;
    }
  }

  /* --- drawing */

  #soon() {
    this.#drawing ||= setTimeout(() => {
      this.#drawing = 0;
      this.#draw();
    });
  }

  #draw() {
    keepingFocus(this.#root, () => this.#paint(), () => this.#place());
    if (!this.#endsHere || this.#talk?.now.status !== "ended") return;
    this.#endsHere = false;
    if (this.isOpen) this.#place().focus({ preventScroll: true });
  }

  #paint() {
    const talk = this.#view === "chat" ? this.#talk : null;
    const status = talk?.now.status ?? this.#view;
    const follows = this.#atEnd;
    this.#drawTop(talk, status);
    byId("loading-view").hidden = !["loading", "nowhere"].includes(status);
    byId("history").hidden = !byId("loading-view").hidden;
    byId("start-view").hidden = status !== "start";
    byId("scroll").dataset.view = this.#view;
    byId("end").hidden = byId("sound").hidden = !["waiting", "active"].includes(status);
    byId("ending").hidden = status !== "ended";
    if (status === "ended") this.#question?.();
    if (talk) this.#paintTalk(talk, status);
    else for (const id of ["composer", "line-card", "away-card", "offers", "banner"]) byId(id).hidden = true;
    this.#drawLauncher();
    if (follows) this.#toBottom();
    this.#drawNewest();
  }

  #paintTalk(talk, status) {
    const { rows } = talk.thread;
    const asks = this.#parts.cards.draw(talk, status);
    byId("composer").hidden = status === "ended" || asks;
    this.#parts.banner(() => (this.#talk === talk ? talk : null));
    const wantsPerson = [...rows, ...talk.pending].some(({ body }) => body === WANTS_PERSON);
    byId("offers").hidden = status !== "waiting" || wantsPerson || !rows.some((row) => row.sender_type === "bot");
    setText(byId("typing"), talk.typing && status === "active" ? t(talk.typing.name ? "typing" : "typingSomeone", talk.typing) : "");
    drawThread(byId("log"), { rows, pending: talk.pending, marks: talk.marks }, { again: (id) => talk.again(id), drop: (id) => talk.drop(id), files: talk.files });
    this.#parts.reader.read(rows);
    if (status === "ended") this.#parts.rating.draw(talk.rating, this.#parts.write.typed, talk.now.served);
    if (status === "ended") talk.isOver();
    this.#count(rows);
  }

  #drawTop(talk, status) {
    const ours = this.#options.title ?? t("chatTitle");
    const agent = status === "active" ? talk.now.agent.name : "";
    setText(byId("title"), agent || ours);
    setText(byId("under"), agent ? ours : (status === "ended" ? t("endedTitle") : ""));
    byId("under").hidden = !byId("under").textContent;
    const face = byId("face");
    if (face.childElementCount + face.textContent.length && face.dataset.of === agent) return;
    face.dataset.of = agent;
    face.replaceChildren(agent ? initials(agent) : icon("chat"));
  }

  #drawSound() {
    const button = byId("sound");
    button.setAttribute("aria-pressed", String(soundIsOn()));
    button.setAttribute("aria-label", t("sound"));
    button.title = t("sound");
    button.replaceChildren(icon(soundIsOn() ? "bell" : "bellOff"));
  }

  #drawLauncher() {
    const n = this.#unread;
    const count = byId("count");
    count.hidden = !n;
    setText(count, n > MOST_SHOWN ? `${MOST_SHOWN}+` : String(n));
    this.#launcher.setAttribute("aria-label", this.isOpen ? t("close") : `${t("open")}${n ? ` (${t("unread", { n })})` : ""}`);
    const shows = this.isOpen ? "fold" : "chat";
    if (this.#launcher.dataset.shows !== shows) this.#launcher.replaceChildren(icon(shows), count);
    this.#launcher.dataset.shows = shows;
  }

  /* --- what was seen */

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = byId("scroll");
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  /** A form is read from its top. */
  #toBottom() {
    if (this.#view !== "chat") return;
    byId("scroll").scrollTop = byId("scroll").scrollHeight;
    this.#atEnd = true;
    this.#drawNewest();
    this.#saw();
  }

  #drawNewest() {
    byId("newest").hidden = this.#view !== "chat" || this.#isAtEnd();
  }

  #count(rows) {
    const isLeft = !this.isOpen || document.hidden;
    if (this.#drawn && isLeft && rows.some((row) => row.seq > this.#drawn && row.sender_type === "agent")) playTone();
    this.#drawn = rows.at(-1)?.seq ?? 0;
    const seen = this.#kept.get("seen") ?? 0;
    this.#unread = rows.filter((row) => row.seq > seen && ["agent", "bot"].includes(row.sender_type)).length;
    this.#saw();
  }

  #saw() {
    if (this.#view !== "chat" || !this.isOpen || document.hidden || !this.#isAtEnd()) return;
    this.#talk.seen();
    const { last } = this.#talk.thread;
    if (last > (this.#kept.get("seen") ?? 0)) this.#kept.put({ seen: last });
    this.#unread = 0;
  }
}
