/* The colour that a site or a tenant wishes for, made readable: as a ground with text on it, and as ink on our own grounds. */

const OURS = "#0f766e";
const ENOUGH = 4.5; // WCAG AA
const WHITE = [255, 255, 255];
const DARK = [14, 22, 20];
const DAY = [227, 231, 229]; // the darkest light ground and the lightest dark one that ink stands on
const NIGHT = [38, 48, 46];

/** Sets --fill, --on-fill, --shade (away from --on-fill), --ink-day and --ink-night. Important: no rule of the page shall change them.
 *  What they are for: css/brand.css. */
export function paint(host, wish) {
  const rgb = toRgb(wish && CSS.supports("color", wish) ? wish : OURS);
  const onFill = contrast(rgb, WHITE) >= contrast(rgb, DARK) || contrast(rgb, WHITE) >= ENOUGH ? WHITE : DARK;
  const set = (name, colour) => host.style.setProperty(name, `rgb(${colour.map(Math.round).join(" ")})`, "important");
  const shade = onFill === WHITE ? [0, 0, 0] : WHITE;
  set("--fill", readable(rgb, onFill, shade));
  set("--shade", shade);
  set("--on-fill", onFill);
  set("--ink-day", readable(rgb, DAY, [0, 0, 0]));
  set("--ink-night", readable(rgb, NIGHT, WHITE));
}

function toRgb(colour) {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

function light(rgb) {
  const [r, g, b] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, two) {
  const [high, low] = [light(one), light(two)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

function readable(rgb, ground, towards) {
  for (let share = 0; share <= 1; share += 0.05) {
    const mixed = rgb.map((part, index) => part + (towards[index] - part) * share);
    if (contrast(mixed, ground) >= ENOUGH) return mixed;
  }
  return towards;
}
