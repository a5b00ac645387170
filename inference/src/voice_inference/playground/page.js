// Wires the page: form, voices, takes. Whatever comes from the server becomes text, never markup.

import { Comparison, nameOf } from "./comparison.js";
import { Player } from "./player.js";
import { Spectrogram } from "./spectrogram.js";
import { key, sample, samples, speak, voices } from "./speech.js";

const KEPT = 20;
const NONE = "";
const by = (id) => document.getElementById(id);
const seconds = (number) => `${number.toFixed(2)} s`;

const player = new Player(by("wave"), new Spectrogram(by("spectrum")));
let known = new Map();
let running = null;
let takes = [];
const comparison = new Comparison(
  (take, name) => {
    const ended = player.position >= player.seconds - 0.1;
    listen(take, name, ended ? 0 : player.position);
  },
  (told, sentence) => {
    told.forEach(keep);
    if (sentence) say(sentence);
  },
);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(status, problem = "") {
  by("status").textContent = status;
  by("problem").textContent = problem;
}

function report(error) {
  if (error.name === "AbortError") return say("Stopped.");
  say("", error.message);
  if (error.status === 401) {
    by("key-box").open = true;
    by("key").focus();
  }
}

async function loadVoices() {
  try {
    known = new Map((await voices()).map((voice) => [voice.id, voice]));
  } catch (error) {
    known = new Map();
    report(error);
  }
  for (const [id, none] of [["voice-a", null], ["voice-b", "nothing"]]) {
    const select = by(id), before = select.value;
    const options = [...known.values()].flatMap(choicesOf);
    if (none) options.unshift(element("option", { value: NONE, textContent: none }));
    select.replaceChildren(...options);
    if (options.some((option) => option.value === before && !option.disabled)) select.value = before;
    else select.value = options.find((option) => !option.disabled)?.value ?? NONE;
  }
  if (known.size) say(known.size === 1 ? "1 voice." : `${known.size} voices.`);
  else if (!by("problem").textContent) say("There are no voices yet.");
  describeVoices();
}

/** The voice as it is served, and the revision that was served before it where the pod has it. */
function choicesOf(voice) {
  const served = element("option", { value: voice.id, textContent: voice.id, disabled: !voice.serving });
  if (!voice.previous) return [served];
  const label = `${voice.id}, revision before: ${voice.previous}`;
  return [served, element("option", { value: `${voice.id}@${voice.previous}`, textContent: label })];
}

function describeVoices() {
  for (const side of ["a", "b"]) by(`about-${side}`).textContent = describedChoice(by(`voice-${side}`).value);
  forgetSamples();
}

function describedChoice(value) {
  const [id, revision] = value.split("@");
  if (!revision) return described(known.get(id));
  return `the revision before ${known.get(id)?.serving ?? "the present one"}; it speaks while its VoiceRevision exists`;
}

function described(voice) {
  if (!voice) return "";
  const scores = Object.entries(voice.scores ?? {}).map(([name, score]) => `${name} ${score}`);
  const consent = voice.expires ? `consent until ${voice.expires}` : "consent without end";
  const state = voice.error ? `${voice.state}: ${voice.error}` : voice.state;
  const beside = voice.next ? `next ${voice.next.revision} ${voice.next.state}` : "";
  return [voice.language, voice.serving || voice.revision, state, beside, ...scores, consent].filter(Boolean).join(" · ");
}

function requestFor(voice, seed) {
  return {
    input: by("text").value, voice, seed,
    response_format: by("format").value,
    speed: Number(by("speed").value),
    language: by("language").value || null,
  };
}

async function speakOne(voice, seed, side) {
  const isHeard = side === "a", { isBlind } = comparison;
  const take = await speak(requestFor(voice, seed), {
    context: player.context,
    signal: running.signal,
    onFirst: (first) => isHeard && say(isBlind ? "Speaking the first." : `Speaking with ${voice}: first audio after ${seconds(first)}.`),
    onAudio: (samples, rate) => isHeard && player.add(samples, rate),
  });
  if (isHeard && by("format").value !== "pcm") player.play(take.samples, take.rate);
  comparison.take(side, take);
  if (!isBlind) keep(take);
  return take;
}

async function speakAll() {
  const [a, b] = comparison.begin(by("voice-a").value, by("voice-b").value, by("blind").checked);
  if (!a) return say("", "There is no voice to speak with.");
  const given = by("seed").value;
  const seed = given === "" ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  player.stop();
  running = new AbortController();
  by("speak").disabled = true;
  by("stop").disabled = false;
  say(comparison.isBlind ? "Waiting for the first." : `Waiting for ${a}.`);
  try {
    await player.context.resume();
    const take = await speakOne(a, seed, "a");
    tell(take, comparison.nameFor("a"));
    if (b) {
      await speakOne(b, seed, "b");
      comparison.offer();
      if (comparison.isBlind) say("Both are spoken: listen to each, then choose.");
    }
  } catch (error) {
    comparison.abandon();
    report(error);
  } finally {
    running = null;
    by("speak").disabled = false;
    by("stop").disabled = true;
  }
}

/** Says what is heard; of a take without a name nothing that tells whose it is. */
function tell(take, name = nameOf(take)) {
  const long = take.samples.length / take.rate;
  for (const [id, what] of [["wave", "Waveform"], ["spectrum", "Spectrogram"]]) {
    by(id).setAttribute("aria-label", `${what} of ${seconds(long)} by ${name}`);
  }
  if (name !== nameOf(take)) return say(`${name}: ${seconds(long)} long.`);
  say(`${name}: first audio after ${seconds(take.firstAudio)}, ${seconds(long)} long, seed ${take.seed}.`);
}

function listen(take, name, from = 0) {
  player.context.resume();
  player.play(take.samples, take.rate, from);
  tell(take, name);
}

function forgetSamples() {
  by("samples").replaceChildren();
  by("samples-none").hidden = true;
  if (by("samples-box").open) listSamples();
}

async function listSamples() {
  const voice = by("voice-a").value;
  if (!voice || by("samples").children.length) return;
  try {
    const found = await samples(voice);
    if (voice !== by("voice-a").value) return; // another one was chosen meanwhile
    by("samples-none").hidden = found.length > 0;
    by("samples").replaceChildren(...found.map((one) => sampleRow(voice, one)));
  } catch (error) {
    report(error);
  }
}

function sampleRow(voice, { id, text }) {
  const play = element("button", { type: "button", textContent: "Play", onclick: () => playSample(voice, id) });
  play.setAttribute("aria-label", `Play sample: ${text}`);
  return element("li", {}, play, element("span", { textContent: text }));
}

async function playSample(voice, id) {
  try {
    player.context.resume();
    const found = await sample(voice, id, player.context);
    player.play(found.samples, found.rate);
    say(`Sample of ${voice} (${found.revision}): ${seconds(found.samples.length / found.rate)} long.`);
  } catch (error) {
    report(error);
  }
}

function keep(take) {
  takes.unshift({ ...take, url: URL.createObjectURL(take.blob), at: new Date() });
  for (const old of takes.splice(KEPT)) URL.revokeObjectURL(old.url);
  by("empty").hidden = true;
  by("history").replaceChildren(...takes.map(row));
}

function row(take) {
  const name = nameOf(take);
  const time = take.at.toLocaleTimeString();
  const file = `${take.voice.replace("/", "-")}-${take.seed}.${take.extension}`;
  const text = take.text.length > 80 ? `${take.text.slice(0, 80)}…` : take.text;
  const play = element("button", { type: "button", textContent: "Play", onclick: () => listen(take) });
  const again = element("a", { href: take.url, download: file, textContent: "Download" });
  play.setAttribute("aria-label", `Play ${name}, ${time}`);
  again.setAttribute("aria-label", `Download ${name}, ${time}`);
  const about = `${time} · first audio ${seconds(take.firstAudio)} · ${seconds(take.samples.length / take.rate)} · seed ${take.seed}`;
  return element("li", {},
    element("p", {}, element("strong", { textContent: name })),
    element("p", { textContent: text }),
    element("p", { className: "about", textContent: about }),
    element("div", { className: "row" }, play, again));
}

function count() {
  by("count").textContent = `${by("text").value.length} of ${by("text").maxLength} characters`;
}

by("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) speakAll();
});
by("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) by("form").requestSubmit();
});
by("stop").addEventListener("click", () => {
  running?.abort();
  player.stop();
});
by("key").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  by("use-key").click();
});
by("use-key").addEventListener("click", () => {
  key.set(by("key").value.trim());
  by("key").value = "";
  say("");
  loadVoices();
});
by("forget-key").addEventListener("click", () => {
  key.set("");
  say("");
  loadVoices();
});
by("samples-box").addEventListener("toggle", () => by("samples-box").open && listSamples());
by("reload").addEventListener("click", loadVoices);
by("voice-a").addEventListener("change", describeVoices);
by("voice-b").addEventListener("change", describeVoices);
by("text").addEventListener("input", count);
by("speed").addEventListener("input", () => (by("speed-value").textContent = Number(by("speed").value).toFixed(2)));
count();
loadVoices();
