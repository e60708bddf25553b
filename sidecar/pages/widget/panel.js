/* The nodes of the widget, with the ids by which the parts that it shares with the customer's page find theirs. */

import { icon, make } from "../js/core/dom.js";
import { t } from "../js/words/tongue.js";

const hidden = true;
const button = (attributes, ...inside) => make("button", { type: "button", ...attributes }, ...inside);
const iconButton = (name, label, attributes) => button({ class: "quiet icon", "aria-label": t(label), title: t(label), ...attributes }, icon(name));

export function buildLauncher() {
  return button({ class: "launcher", id: "launcher", "aria-expanded": "false", "aria-haspopup": "dialog" }, icon("chat"), make("span", { class: "count", id: "count", hidden }));
}

export function buildPanel({ name, email, greeting }) {
  return make(
    "section",
    { class: "panel", id: "chat-view", role: "dialog", "aria-labelledby": "title", hidden },
    top(),
    make("p", { class: "unseen", id: "spoken", "aria-live": "polite", "aria-atomic": "true" }),
    make("div", { class: "unseen", id: "told", "aria-live": "polite" }),
    make("div", { class: "notice warn", id: "banner", hidden }, icon("alert"), make("span", { id: "banner-text" }), button({ class: "small", id: "try-now", text: t("tryNow") })),
    make("p", { class: "notice bad", id: "problem", role: "alert", hidden }),
    make("div", { class: "loading", id: "loading-view", hidden }, make("p", { id: "loading-text", role: "status" }), button({ class: "small", id: "load-now", text: t("tryNow") })),
    make("div", { class: "history", id: "history" }, scroller(name && email, greeting), button({ class: "newest", id: "newest", "aria-label": t("toNewest"), hidden }, icon("down"))),
    make("div", { class: "typing", id: "typing", "aria-live": "polite" }),
    make("div", { class: "offers", id: "offers", hidden }, button({ class: "small", id: "person", text: t("talkToPerson") })),
    composer(),
    make("div", { class: "drop", id: "drop", "aria-hidden": "true", text: t("dropHere"), hidden }),
  );
}

function top() {
  return make(
    "div",
    { class: "top" },
    make("span", { class: "face", id: "face", "aria-hidden": "true" }),
    make("div", { class: "who" }, make("h2", { id: "title", dir: "auto" }), make("p", { id: "under", dir: "auto" })),
    button({ class: "quiet icon", id: "sound", hidden }),
    button({ class: "quiet small", id: "end", text: t("endShort"), hidden }),
    iconButton("close", "close", { id: "close" }),
  );
}

function scroller(isKnown, greeting) {
  return make(
    "div",
    { class: "scroll", id: "scroll", tabindex: "0", role: "region", "aria-label": t("history") },
    make("section", { class: "line-card", id: "line-card", hidden }, make("div", { class: "place", "aria-hidden": "true" }, make("b", { id: "place-number" })), make("div", {}, make("b", { id: "place-title" }), make("p", { class: "soft", id: "place-line" }))),
    awayCard(),
    make("div", { class: "talk" }, make("p", { class: "bubble hi", dir: "auto", text: greeting ?? t("greeting") }), make("div", { class: "thread still", id: "log", role: "log", "aria-live": "off", "aria-label": t("conversation") })),
    startForm(isKnown),
    ending(),
  );
}

function awayCard() {
  const field = make("textarea", { id: "away-text", dir: "auto", rows: 3, maxlength: 10000, "aria-label": t("awayField") });
  return make("section", { class: "away-card", id: "away-card", "aria-labelledby": "away-title", hidden }, make("b", { id: "away-title" }), make("p", { id: "away-line" }), make("form", { id: "away-form" }, field, make("button", { type: "submit", class: "primary", text: t("awaySend") })));
}

/** `isKnown`: the site has told who it is. */
function startForm(isKnown) {
  const field = (label, control, more) => make("label", { class: "field" }, make("span", { id: `${control.id}-label` }, t(label), more), control, make("small", { class: "wrong", id: `${control.id}-wrong` }));
  const name = { id: "name", name: "name", dir: "auto", autocomplete: "name", maxlength: 100, "aria-labelledby": "name-label", "aria-describedby": "name-wrong" };
  const email = { id: "email", name: "email", type: "email", autocomplete: "email", inputmode: "email", maxlength: 254, "aria-labelledby": "email-label", "aria-describedby": "email-wrong" };
  const asked = isKnown ? [make("input", { ...name, type: "hidden" }), make("input", { ...email, type: "hidden" })] : [field("name", make("input", name)), field("email", make("input", email))];
  return make(
    "form",
    { class: "start", id: "start-view", novalidate: true, hidden },
    make("div", { class: "start-head" }, make("span", { class: "chip", id: "online-chip", hidden }, make("i", { class: "presence", "aria-hidden": "true" }), make("span")), make("p", { class: "soft", id: "hello-soft" })),
    make("p", { class: "notice bad", id: "start-trouble", role: "alert", hidden }),
    ...asked,
    make("label", { class: "field", id: "topic-field", hidden }, make("span", { id: "topic-label" }, t("topic"), make("small", { text: ` ${t("optional")}` })), make("select", { id: "topic", name: "topic", dir: "auto", "aria-labelledby": "topic-label" }), make("small")),
    field("question", make("textarea", { id: "question", name: "message", dir: "auto", rows: 3, maxlength: 10000, "aria-labelledby": "question-label", "aria-describedby": "question-wrong" }), make("small", { id: "question-optional", text: ` ${t("optional")}` })),
    make("button", { type: "submit", class: "primary", id: "start" }, make("span", { id: "start-text" })),
  );
}

function ending() {
  const comment = make("textarea", { id: "comment", dir: "auto", rows: 2, maxlength: 2000, "aria-label": t("comment"), placeholder: t("comment") });
  const stars = make("fieldset", {}, make("legend", { text: t("rateTitle") }), make("div", { class: "stars", id: "stars" }), make("p", { class: "soft", id: "rate-word", "aria-hidden": "true" }));
  const unsent = make("label", { class: "field", id: "unsent", hidden }, make("span", { text: t("unsent") }), make("textarea", { id: "unsent-text", dir: "auto", rows: 2, readonly: true }), make("small", { class: "hint", text: t("unsentWhy") }));
  return make(
    "section",
    { class: "ending", id: "ending", hidden },
    make("b", { id: "ending-title", tabindex: "-1", text: t("endedTitle") }),
    unsent,
    make("form", { id: "rating" }, stars, make("div", { id: "rate-more", hidden }, comment, make("button", { type: "submit", class: "primary", text: t("rateSend") }))),
    make("div", { id: "rated", role: "status", tabindex: "-1", hidden }, make("div", { class: "stars given", id: "stars-given" }), make("p", { text: t("rated") })),
    make("div", { class: "buttons" }, button({ class: "small", id: "ending-transcript", text: t("transcriptText") }), button({ class: "small", id: "new-chat", text: t("newChat") })),
  );
}

function composer() {
  return make(
    "form",
    { class: "composer", id: "composer", hidden },
    make("ul", { class: "chosen", id: "chosen", "aria-live": "polite", hidden }),
    iconButton("clip", "attach", { id: "attach" }),
    make("input", { type: "file", id: "files", multiple: true, tabindex: "-1", "aria-hidden": "true", hidden }),
    make("textarea", { id: "text", dir: "auto", rows: 1, maxlength: 10000, enterkeyhint: "send", "aria-label": t("message"), placeholder: t("writeHint") }),
    iconButton("smile", "emoji", { id: "emoji-button", "aria-haspopup": "dialog", "aria-expanded": "false" }),
    make("button", { type: "submit", class: "primary icon", id: "send", "aria-label": t("send"), title: t("send") }, icon("send")),
    make("div", { class: "emojis", id: "emojis", role: "dialog", "aria-label": t("emojis"), hidden }),
  );
}

/** Over the panel, whose other parts are out of reach meanwhile. `yes()` may throw: then it stays, and says so. */
export function askInside(panel, { text, no, yes }) {
  const others = [...panel.children];
  const wrong = make("p", { class: "wrong", role: "alert" });
  const leave = (then) => {
    for (const one of others) one.inert = false;
    box.remove();
    then?.();
  };
  const agree = async () => {
    wrong.textContent = "";
    try {
      await yes();
      leave();
    } catch {
      wrong.textContent = t("endFailed");
    }
  };
  const keep = button({ text: t("keepChatting"), onclick: () => leave(no) });
  const box = make("div", { class: "ask", role: "alertdialog", "aria-label": text }, make("div", {}, make("p", { text }), wrong, make("div", { class: "buttons" }, keep, button({ class: "danger primary", text: t("endShort"), onclick: agree }))));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    leave(no);
  });
  for (const one of others) one.inert = true;
  panel.append(box);
  keep.focus();
  return leave;
}
