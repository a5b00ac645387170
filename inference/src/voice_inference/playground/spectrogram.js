// Draws which frequencies sound when: windows of 1,024 samples, a quarter of one apart, in decibels below the loudest.

const WINDOW = 1024;
const HOP = WINDOW / 4;
const RANGE_DB = 70; // from full ink to none
const TOP_HERTZ = 10000;

const hann = Float32Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / WINDOW));
const reversed = Uint16Array.from({ length: WINDOW }, (_, n) => {
  let result = 0;
  for (let bit = 1, mirror = WINDOW / 2; bit < WINDOW; bit *= 2, mirror /= 2) if (n & bit) result += mirror;
  return result;
});

/** Returns the decibels of WINDOW / 2 frequencies, from 0 to half the rate, of WINDOW samples. */
export function decibels(samples) {
  const real = new Float32Array(WINDOW), imaginary = new Float32Array(WINDOW);
  for (let n = 0; n < WINDOW; n++) real[reversed[n]] = samples[n] * hann[n];
  for (let size = 2; size <= WINDOW; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const cosine = Math.cos((-2 * Math.PI * k) / size), sine = Math.sin((-2 * Math.PI * k) / size);
      for (let start = k; start < WINDOW; start += size) {
        const other = start + size / 2;
        const r = real[other] * cosine - imaginary[other] * sine, i = real[other] * sine + imaginary[other] * cosine;
        real[other] = real[start] - r;
        imaginary[other] = imaginary[start] - i;
        real[start] += r;
        imaginary[start] += i;
      }
    }
  }
  return Float32Array.from({ length: WINDOW / 2 }, (_, k) => 10 * Math.log10(real[k] ** 2 + imaginary[k] ** 2 + 1e-12));
}

export class Spectrogram {
  #canvas;
  #frames = [];
  #rest = new Float32Array(0);
  #loudest = -Infinity;
  #rate = 0;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  clear() {
    this.#frames = [];
    this.#rest = new Float32Array(0);
    this.#loudest = -Infinity;
    this.#paint();
  }

  /** Appends samples, and draws all so far. */
  add(samples, rate) {
    this.#rate = rate;
    const waiting = new Float32Array(this.#rest.length + samples.length);
    waiting.set(this.#rest);
    waiting.set(samples, this.#rest.length);
    let start = 0;
    for (; start + WINDOW <= waiting.length; start += HOP) {
      const frame = decibels(waiting.subarray(start, start + WINDOW));
      for (const level of frame) if (level > this.#loudest) this.#loudest = level;
      this.#frames.push(frame);
    }
    this.#rest = waiting.slice(start);
    this.#paint();
  }

  #paint() {
    const { width, height } = this.#canvas, pen = this.#canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    if (!this.#frames.length) return;
    const [red, green, blue] = getComputedStyle(this.#canvas).color.match(/\d+/g).map(Number);
    const picture = pen.createImageData(width, height);
    const bins = Math.min(WINDOW / 2 - 1, (TOP_HERTZ * WINDOW) / this.#rate);
    for (let row = 0; row < height; row++) {
      const bin = Math.round((1 - row / height) ** 2 * bins); // low frequencies have more room, as in hearing
      for (let column = 0; column < width; column++) {
        const frame = this.#frames[Math.floor((column / width) * this.#frames.length)];
        const level = 1 + (frame[bin] - this.#loudest) / RANGE_DB;
        picture.data.set([red, green, blue, Math.max(0, level) * 255], 4 * (row * width + column));
      }
    }
    pen.putImageData(picture, 0, 0);
  }
}
