// Two takes side by side: named, or blind until somebody has chosen one; counts what was chosen of each pair.

const by = (id) => document.getElementById(id);
const SIDES = ["a", "b"];
const BLIND_NAMES = { a: "The first", b: "The second" };

export const nameOf = (take) => `${take.voice} (${take.revision})`;

export class Comparison {
  #takes = { a: null, b: null };
  #listen;
  #onTold;
  #pair = "";
  #counts = new Map();

  isBlind = false;

  /** `listen(take, name)` plays a take; `onTold(takes, sentence)` is called once both may be named. */
  constructor(listen, onTold) {
    this.#listen = listen;
    this.#onTold = onTold;
    for (const radio of document.querySelectorAll("input[name=side]")) {
      radio.addEventListener("change", () => this.#listen(this.#takes[radio.value], this.nameFor(radio.value)));
    }
    for (const button of by("choices").querySelectorAll("button")) {
      button.addEventListener("click", () => this.#choose(button.value));
    }
  }

  /** Begins anew; returns the two voices in the order in which they are spoken. */
  begin(a, b, isBlind) {
    this.abandon();
    this.isBlind = isBlind && Boolean(b);
    by("compare").hidden = true;
    if (!this.isBlind) return [a, b];
    return crypto.getRandomValues(new Uint8Array(1))[0] % 2 ? [b, a] : [a, b];
  }

  /** What a side is called now. */
  nameFor(side) {
    if (this.isBlind) return BLIND_NAMES[side];
    return this.#takes[side] ? nameOf(this.#takes[side]) : "";
  }

  take(side, take) {
    this.#takes[side] = take;
  }

  /** Shows the two. */
  offer() {
    this.#label();
    by("choices").hidden = !this.isBlind;
    by("compare").hidden = false;
    document.querySelector("input[name=side][value=a]").checked = true;
  }

  /** Names what was not chosen between, because something else is spoken. */
  abandon() {
    const takes = Object.values(this.#takes).filter(Boolean);
    if (this.isBlind && takes.length) this.#onTold(takes, "");
    this.#takes = { a: null, b: null };
    this.isBlind = false;
  }

  #label() {
    for (const side of SIDES) {
      const name = this.nameFor(side);
      by(`side-${side}`).textContent = this.isBlind ? name : `${side.toUpperCase()}: ${name}`;
    }
  }

  #choose(side) {
    const names = SIDES.map((one) => nameOf(this.#takes[one]));
    const pair = [...names].sort().join(" and ");
    if (pair !== this.#pair) this.#counts = new Map([...names].sort().concat("no difference").map((name) => [name, 0]));
    this.#pair = pair;
    const chosen = side ? nameOf(this.#takes[side]) : "no difference";
    this.#counts.set(chosen, this.#counts.get(chosen) + 1);
    const focused = by("choices").contains(document.activeElement);
    this.isBlind = false;
    this.#label();
    by("choices").hidden = true;
    if (focused) document.querySelector("input[name=side]:checked").focus(); // the button is gone
    by("tally").textContent = `Chosen so far: ${[...this.#counts].map(([name, count]) => `${name} ${count}`).join(", ")}.`;
    const told = `The first was ${names[0]}, the second ${names[1]}.`;
    this.#onTold(Object.values(this.#takes), side ? `You chose ${chosen}. ${told}` : told);
  }
}
