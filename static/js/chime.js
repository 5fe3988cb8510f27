// @ts-check
// A short, soft sound when somebody has come to the waiting room. The page shows it as well.

/** @type {AudioContext | null} */
let context = null;

/** Play it; silent where the browser allows no sound before the first click. */
export function chime() {
  if (!navigator.userActivation?.hasBeenActive) return;
  context ??= new AudioContext();
  void context.resume();
  const start = context.currentTime + 0.02;
  for (const [frequency, delay] of /** @type {const} */ ([
    [523.25, 0],
    [783.99, 0.18],
  ])) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, start + delay);
    volume.gain.linearRampToValueAtTime(0.12, start + delay + 0.03);
    volume.gain.exponentialRampToValueAtTime(0.001, start + delay + 0.9);
    tone.connect(volume).connect(context.destination);
    tone.start(start + delay);
    tone.stop(start + delay + 1);
  }
}
