"use strict";
// The blind comparison: sentences in a drawn order, each side behind a drawn letter, and the commands that its answers lead to.
(() => {
  const byId = (id) => document.getElementById(id);
  const section = byId("listening"), form = byId("trial"), outcome = byId("outcome");
  const players = [byId("a"), byId("b")], choices = byId("choices"), next = byId("next");
  const source = (id) => byId(id)?.getAttribute("src");
  const trials = [...byId("trials").children]
    .map((one) => ({ text: one.textContent, voice: source(one.dataset.voice), other: source(one.dataset.other) }))
    .filter((one) => one.voice && one.other);
  let order = [], answers = [], heard = new Set(), voiceIsA = true;

  const below = (count) => {
    const limit = Math.floor(0x100000000 / count) * count, drawn = new Uint32Array(1);
    do crypto.getRandomValues(drawn); while (drawn[0] >= limit);
    return drawn[0] % count;
  };

  function shuffled(items) {
    const found = [...items];
    for (let last = found.length - 1; last > 0; last -= 1) {
      const other = below(last + 1);
      [found[last], found[other]] = [found[other], found[last]];
    }
    return found;
  }

  function start() {
    order = shuffled(trials);
    answers = [];
    outcome.hidden = true;
    form.hidden = false;
    show();
  }

  function show() {
    const trial = order[answers.length];
    voiceIsA = below(2) === 0;
    heard = new Set();
    players[0].src = voiceIsA ? trial.voice : trial.other;
    players[1].src = voiceIsA ? trial.other : trial.voice;
    byId("said").textContent = trial.text;
    form.reset();
    choices.disabled = next.disabled = true;
    next.textContent = answers.length + 1 < order.length ? "Next sentence" : "Show the result";
    tell();
  }

  function tell() {
    const place = `Sentence ${answers.length + 1} of ${order.length}.`;
    const missing = ["A", "B"].filter((_, index) => !heard.has(index));
    byId("progress").textContent = missing.length ? `${place} Play ${missing.join(" and ")}, then choose.` : `${place} Choose.`;
    choices.disabled = missing.length > 0;
  }

  // Exact two-sided sign test: how often chance alone divides the preferences at least as unevenly.
  function chance(first, second) {
    const total = first + second, least = Math.min(first, second);
    let ways = 1, sum = 0;
    for (let count = 0; count <= least; count += 1) {
      sum += ways;
      ways = (ways * (total - count)) / (count + 1);
    }
    return total ? Math.min(1, (2 * sum) / 2 ** total) : 1;
  }

  function finish() {
    const count = (kind) => answers.filter((one) => one === kind).length;
    const voice = count("voice"), other = count("other"), none = count("none");
    const p = chance(voice, other).toFixed(2), rival = section.dataset.other;
    const [namespace] = section.dataset.voice.split("/");
    const reason = `blind comparison with ${rival}, ${answers.length} sentences: this voice ${voice}, ${rival} ${other}, no difference ${none}; sign test p = ${p}`;
    byId("told").textContent = `This voice was preferred ${voice} times, ${rival} ${other} times, and ${none} times there was no difference. Chance alone divides as unevenly with a probability of ${p}.`;
    for (const act of ["approve", "reject"]) {
      byId(act).textContent = `kubectl voice ${act} ${section.dataset.revision} --namespace ${namespace} --reason '${reason}'`;
    }
    form.hidden = true;
    outcome.hidden = false;
    outcome.focus();
  }

  players.forEach((player, index) => {
    player.addEventListener("play", () => players[1 - index].pause());
    player.addEventListener("playing", () => { heard.add(index); tell(); });
  });
  choices.addEventListener("change", () => { next.disabled = false; });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = new FormData(form).get("choice");
    if (!chosen) return;
    players.forEach((player) => player.pause());
    answers.push(chosen === "none" ? "none" : (chosen === "a") === voiceIsA ? "voice" : "other");
    if (answers.length < order.length) { show(); players[0].focus(); } else finish();
  });
  byId("again").addEventListener("click", () => { start(); players[0].focus(); });
  byId("speaker").src = source("prompt") ?? "";
  if (trials.length) start();
})();
