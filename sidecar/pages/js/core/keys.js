/* Keys that belong to an input method (Japanese, Chinese, Korean, accents), not to us: while a word is being put together,
 * Enter takes it and Escape gives it up. Safari tells of that Enter after the word is done, with the old code 229.
 */

const OF_AN_INPUT_METHOD = 229;

export const composes = (event) => event.isComposing || event.keyCode === OF_AN_INPUT_METHOD;

/** Before every other listener in `root`: such a key neither sends nor closes anything. */
export function leaveToInputMethod(root) {
  for (const type of ["keydown", "keypress", "keyup"]) root.addEventListener(type, (event) => composes(event) && keepFrom(event), true);
}

/** A form would send itself by Enter. */
export function keepFrom(event) {
  event.stopImmediatePropagation();
  if (event.key === "Enter") event.preventDefault();
}
