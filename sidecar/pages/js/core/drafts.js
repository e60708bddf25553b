/* What was typed and not sent, by name: it survives a reload of this tab. */

export function keepDraft(name, text) {
  try {
    if (text) sessionStorage.setItem(`giliran-draft-${name}`, text);
    else sessionStorage.removeItem(`giliran-draft-${name}`);
  } catch {
    /* storage may be forbidden: then it lasts as long as the page */
  }
}

export function recallDraft(name) {
  try {
    return sessionStorage.getItem(`giliran-draft-${name}`) ?? "";
  } catch {
    return "";
  }
}
