// Plays samples as they arrive, or a whole take from any second, and draws the waveform with the place that is heard, and the spectrogram.

const AHEAD_SECONDS = 0.05;

export class Player {
  context = new AudioContext();
  #sources = new Set();
  #next = 0;
  #began = 0;
  #samples = [];
  #rate = 0;
  #length = 0;
  #canvas;
  #frame = 0;

  #spectrogram;

  constructor(canvas, spectrogram) {
    this.#canvas = canvas;
    this.#spectrogram = spectrogram;
  }

  /** Stops what plays and forgets its samples. */
  stop() {
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
    this.#samples = [];
    this.#length = this.#next = 0;
    this.#spectrogram.clear();
  }

  /** Seconds of the take that are heard already. */
  get position() {
    return this.#rate ? Math.min(Math.max(0, this.context.currentTime - this.#began), this.#length / this.#rate) : 0;
  }

  get seconds() {
    return this.#rate ? this.#length / this.#rate : 0;
  }

  /** Appends samples; they are heard right after those before them, or at once where these have ended. */
  add(samples, rate) {
    if (!samples.length) return;
    this.#rate = rate;
    const now = this.context.currentTime;
    if (!this.#next || this.#next < now) {
      const late = now + AHEAD_SECONDS - (this.#next || now + AHEAD_SECONDS);
      this.#began = this.#next ? this.#began + late : now + AHEAD_SECONDS;
      this.#next = now + AHEAD_SECONDS;
    }
    this.#start(samples, rate, this.#next, 0);
    this.#next += samples.length / rate;
    this.#samples.push(samples);
    this.#length += samples.length;
    this.#spectrogram.add(samples, rate);
    this.#draw();
  }

  /** Plays a whole take from a second on. */
  play(samples, rate, from = 0) {
    this.stop();
    this.#rate = rate;
    this.#samples = [samples];
    this.#length = samples.length;
    const begins = this.context.currentTime + AHEAD_SECONDS;
    this.#began = begins - from;
    this.#next = begins - from + samples.length / rate;
    this.#start(samples, rate, begins, from);
    this.#spectrogram.add(samples, rate);
    this.#draw();
  }

  #start(samples, rate, at, from) {
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    source.onended = () => this.#sources.delete(source);
    source.start(at, Math.min(from, buffer.duration));
    this.#sources.add(source);
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    const { width, height } = this.#canvas, pen = this.#canvas.getContext("2d");
    const peaks = new Float32Array(width);
    let index = 0;
    for (const part of this.#samples) {
      for (const sample of part) {
        const column = Math.floor((index++ / this.#length) * width);
        if (Math.abs(sample) > peaks[column]) peaks[column] = Math.abs(sample);
      }
    }
    const loudest = peaks.reduce((most, peak) => Math.max(most, peak), 0.05);
    const paint = () => {
      const heard = this.seconds ? (this.position / this.seconds) * width : 0;
      pen.clearRect(0, 0, width, height);
      pen.fillStyle = getComputedStyle(this.#canvas).color;
      peaks.forEach((peak, column) => {
        const tall = Math.max(1, (peak / loudest) * (height - 8));
        pen.globalAlpha = column < heard ? 1 : 0.4;
        pen.fillRect(column, (height - tall) / 2, 1, tall);
      });
      if (this.#sources.size) this.#frame = requestAnimationFrame(paint);
    };
    paint();
  }
}
