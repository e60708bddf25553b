/* Where the customer writes: text, emojis, files by button, paste and drop, which wait for Send. Before talk.js, which sends. */

import { ChosenFiles } from "../core/chosen-files.js";
import { byId, make } from "../core/dom.js";
import { keepDraft, recallDraft } from "../core/drafts.js";
import { EMOJIS } from "../core/emojis.js";
import { filesPasted } from "../core/pasting.js";
import { bytes, t } from "../words/tongue.js";

const COLUMNS = 8;

/** `talk()` gives the present one. `said()`: something was sent. `mostBytes()`: of a file. `pictures`: whether those that
 *  were chosen are shown. `signal`: of the end of the page. */
export function composer({ talk, said, mostBytes, pictures = true, signal }) {
  const form = byId("composer");
  const text = byId("text");
  const why = (code) => t(`failed_${code}`, { most: bytes(mostBytes()) });
  const chosen = new ChosenFiles(byId("chosen"), { mostBytes, why, left: () => text.focus(), pictures, signal });

  const grow = () => {
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  };
  const send = () => {
    if (!talk()) return;
    const body = text.value.trim();
    const files = chosen.take();
    if (!body && !files.length) return;
    talk().say(body, files);
    text.value = "";
    keepDraft(talk().id, "");
    grow();
    said();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
    text.focus();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    send();
  });
  text.addEventListener("input", () => {
    grow();
    keepDraft(talk()?.id, text.value);
    if (text.value.trim()) talk()?.typed();
    else talk()?.typingStopped();
  });
  text.addEventListener("blur", () => talk()?.typingStopped());

  const choose = (files) => {
    chosen.add(files);
    text.focus({ preventScroll: true }); // Enter sends them
  };
  byId("attach").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", ({ target }) => {
    choose([...target.files]);
    target.value = "";
  });
  text.addEventListener("paste", (event) => {
    const files = filesPasted(event.clipboardData);
    if (!files.length) return;
    event.preventDefault();
    choose(files);
  });
  dropping(byId("chat-view"), byId("drop"), () => !form.hidden, choose);
  emojiPicker(byId("emoji-button"), byId("emojis"), (emoji) => {
    text.setRangeText(emoji, text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input"));
    text.focus();
  });

  return {
    open() {
      text.value = recallDraft(talk().id);
      grow();
    },
    focus: () => text.focus({ preventScroll: true }),
    get typed() {
      return text.value.trim();
    },
    /** Behind what is typed already. */
    add(more) {
      text.value = [text.value.trim(), more].filter(Boolean).join("\n");
      keepDraft(talk().id, text.value);
      grow();
    },
    clear() {
      text.value = "";
      if (talk()) keepDraft(talk().id, "");
      grow();
    },
  };
}

function dropping(area, sign, allowed, take) {
  let depth = 0;
  const carries = (event) => allowed() && event.dataTransfer?.types.includes("Files");
  area.addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    depth += 1;
    sign.hidden = false;
  });
  area.addEventListener("dragleave", (event) => {
    if (carries(event) && --depth <= 0) sign.hidden = true;
  });
  area.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  area.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth = 0;
    sign.hidden = true;
    take([...event.dataTransfer.files]);
  });
}

function emojiPicker(button, box, chosen) {
  const close = (toButton) => {
    box.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (toButton) button.focus();
  };
  const open = () => {
    if (!box.childElementCount) box.append(...EMOJIS.map((emoji, index) => make("button", { type: "button", tabindex: index ? -1 : 0, text: emoji })));
    box.hidden = false;
    button.setAttribute("aria-expanded", "true");
    box.querySelector("[tabindex='0']").focus();
  };
  button.addEventListener("click", () => (box.hidden ? open() : close(true)));
  box.addEventListener("click", ({ target }) => {
    const emoji = target.closest("button");
    if (!emoji) return;
    close(false);
    chosen(emoji.textContent);
  });
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS };
    if (event.key === "Escape") return event.stopPropagation(), close(true);
    if (!(event.key in steps)) return;
    event.preventDefault();
    const all = [...box.children];
    const at = all.indexOf(box.getRootNode().activeElement);
    const to = all[Math.min(all.length - 1, Math.max(0, at + steps[event.key]))];
    all[at]?.setAttribute("tabindex", "-1");
    to.setAttribute("tabindex", "0");
    to.focus();
  });
  box.getRootNode().addEventListener("pointerdown", ({ target }) => !box.hidden && !box.contains(target) && !button.contains(target) && close(false));
}
