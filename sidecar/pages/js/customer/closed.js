/* What a customer reads outside the hours: when we open again, in place of a wait that nobody could keep. Words only. */

import { currentLanguage, t } from "../words/tongue.js";

/** `closed`: of the desk, or of a place in line. Where no day is known, the words under the same key with "Long". */
export function whenClosed(closed, key, values = {}) {
  const opens = closed.opens?.[currentLanguage()];
  return opens ? t(key, { opens, ...values }) : t(`${key}Long`, values);
}
