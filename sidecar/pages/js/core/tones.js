/* Short quiet tones, for what nobody is looking at. Before them whoever chose to hear them. */

const AFTER_S = 0.18; // a note fades away

let audio = null;
let soundedAt = -Infinity;

/** `notes`: [pitch in Hz, from when in s, how long]; `loud`: of 1. Not more often than `everyMs`. */
export function playNotes(notes, loud, everyMs) {
  if (performance.now() - soundedAt < everyMs) return;
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return; // a browser is silent until the first touch
  soundedAt = performance.now();
  audio ??= new AudioContext();
  if (audio.state === "suspended") audio.resume().catch(() => null); // not allowed yet: the next one
  for (const [pitch, from, length] of notes) note(pitch, audio.currentTime + from, length, loud);
}

function note(pitch, from, length, loud) {
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  tone.frequency.value = pitch;
  volume.gain.setValueAtTime(0, from);
  volume.gain.linearRampToValueAtTime(loud, from + 0.012);
  volume.gain.exponentialRampToValueAtTime(0.0001, from + length + AFTER_S);
  tone.connect(volume).connect(audio.destination);
  tone.start(from);
  tone.stop(from + length + AFTER_S);
}
