/* A short quiet tone for an agent's message that nobody is looking at. Off until somebody switches it on; that is kept. */

const KEPT = "giliran-chat-sound";
const EVERY_MS = 1500;
const LOUD = 0.06; // of 1: it may sound in an office
const NOTES = [[784, 0], [1047, 0.1]]; // Hz, s
const NOTE_S = 0.22;

let on = recall();
let audio = null;
let soundedAt = -EVERY_MS;

export const soundIsOn = () => on;

export function switchSound() {
  on = !on;
  try {
    localStorage.setItem(KEPT, on ? "on" : "off");
  } catch {
    /* storage may be forbidden: as long as the page */
  }
  if (on) playTone();
  return on;
}

export function playTone() {
  if (!on || performance.now() - soundedAt < EVERY_MS) return;
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return; // a browser is silent until the first touch
  soundedAt = performance.now();
  audio ??= new AudioContext();
  if (audio.state === "suspended") audio.resume().catch(() => null); // not allowed yet: the next one
  for (const [pitch, from] of NOTES) note(pitch, audio.currentTime + from);
}

function note(pitch, from) {
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  tone.frequency.value = pitch;
  volume.gain.setValueAtTime(0, from);
  volume.gain.linearRampToValueAtTime(LOUD, from + 0.012);
  volume.gain.exponentialRampToValueAtTime(0.0001, from + NOTE_S);
  tone.connect(volume).connect(audio.destination);
  tone.start(from);
  tone.stop(from + NOTE_S);
}

function recall() {
  try {
    return localStorage.getItem(KEPT) === "on";
  } catch {
    return false;
  }
}
