// Talks to the server: lists voices, and speaks a text as a take whose samples arrive while it is spoken.

const KEY = "voice-api-key";

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => (text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY)),
};

export class Refused extends Error {
  constructor(status, message, retryAfter) {
    super(retryAfter ? `${message} Try again in ${retryAfter} s.` : message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  const answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  let message = `The server answers ${answer.status}.`;
  try {
    message = (await answer.json()).error.message;
  } catch { /* no body of ours: a proxy's */ }
  throw new Refused(answer.status, message, answer.headers.get("Retry-After"));
}

export const voices = async () => (await (await ask("v1/voices")).json()).data;

const samplesOf = (voice) => `v1/voices/${voice.split("/").map(encodeURIComponent).join("/")}/samples`;

/** The sentences that the voice's evaluation spoke, as {id, text}. */
export const samples = async (voice) => (await (await ask(samplesOf(voice))).json()).data;

/** One of them, as {samples, rate, revision}. */
export async function sample(voice, id, context) {
  const answer = await ask(`${samplesOf(voice)}/${encodeURIComponent(id)}`);
  const decoded = await context.decodeAudioData(await answer.arrayBuffer());
  return { samples: decoded.getChannelData(0).slice(), rate: decoded.sampleRate, revision: answer.headers.get("X-Voice-Revision") };
}

/** Joins 16-bit samples whose bytes arrive in pieces of any length. */
class Pcm {
  #rest = new Uint8Array(0);

  take(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const count = all.length >> 1;
    this.#rest = all.slice(count * 2);
    const view = new DataView(all.buffer, 0, count * 2);
    return Float32Array.from({ length: count }, (_, index) => view.getInt16(index * 2, true) / 32768);
  }
}

/**
 * Speaks; calls `onAudio(samples, rate)` for PCM while it arrives.
 * Returns {voice, revision, seed, rate, samples, blob, firstAudio}; firstAudio is in seconds since the call.
 */
export async function speak(request, { context, signal, onFirst, onAudio }) {
  const started = performance.now();
  const answer = await ask("v1/audio/speech", { method: "POST", body: JSON.stringify(request), signal });
  const reader = answer.body.getReader();
  const pieces = [], parts = [], pcm = new Pcm();
  const rate = Number(answer.headers.get("X-Sample-Rate"));
  let firstAudio = null;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    if (firstAudio === null) onFirst?.((firstAudio = (performance.now() - started) / 1000));
    pieces.push(piece.value);
    if (request.response_format === "pcm") {
      const samples = pcm.take(piece.value);
      parts.push(samples);
      onAudio(samples, rate);
    }
  }
  const whole = new Blob(pieces, { type: answer.headers.get("Content-Type") });
  const common = {
    voice: answer.headers.get("X-Voice"), revision: answer.headers.get("X-Voice-Revision"),
    seed: answer.headers.get("X-Seed"), firstAudio, text: request.input,
  };
  if (request.response_format === "pcm") {
    const samples = joined(parts);
    return { ...common, rate, samples, blob: wav(whole, rate), extension: "wav" };
  }
  const decoded = await context.decodeAudioData(await whole.arrayBuffer());
  const samples = decoded.getChannelData(0).slice();
  return { ...common, rate: decoded.sampleRate, samples, blob: whole, extension: request.response_format };
}

function joined(parts) {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A WAV file of 16-bit mono samples, for the download: no program opens bare PCM. */
function wav(pcm, rate) {
  const header = new DataView(new ArrayBuffer(44));
  const word = (at, text) => [...text].forEach((letter, index) => header.setUint8(at + index, letter.charCodeAt(0)));
  word(0, "RIFF"); header.setUint32(4, 36 + pcm.size, true); word(8, "WAVEfmt ");
  header.setUint32(16, 16, true); header.setUint16(20, 1, true); header.setUint16(22, 1, true);
  header.setUint32(24, rate, true); header.setUint32(28, rate * 2, true);
  header.setUint16(32, 2, true); header.setUint16(34, 16, true);
  word(36, "data"); header.setUint32(40, pcm.size, true);
  return new Blob([header, pcm], { type: "audio/wav" });
}
