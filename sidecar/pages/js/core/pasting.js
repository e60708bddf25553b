/* What is on a clipboard that brings text and pictures at once. */

/** The files that are meant: none where there is text, as from a spreadsheet, which adds a picture of its cells. The names
 *  or paths that a file manager adds are no text. */
export function filesPasted(clipboard) {
  const files = [...(clipboard?.files ?? [])];
  const names = new Set(files.map(({ name }) => name.normalize()));
  const lines = (clipboard?.getData("text/plain") ?? "").split(/[\r\n]+/u).filter((line) => line.trim());
  return lines.every((line) => names.has(lastPart(line))) ? files : [];
}

function lastPart(line) {
  const name = line.trim().split(/[\\/]/u).pop();
  try {
    return decodeURIComponent(name).normalize();
  } catch {
    return name.normalize();
  }
}
