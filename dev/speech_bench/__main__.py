"""`python -m dev.speech_bench`: writes speech.json, speech.svg and speech.md into out/bench."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev.paths import REPOSITORY, cache
from dev.speech_bench import first_sound, switching, together, words
from dev.speech_bench.plots import draw
from dev.speech_bench.subjects import official, trained
from dev.terminal import main_of, step
from sovits_core.bench import machine
from sovits_core.cpus import usable_cpus

PARTS = ("tiny", "official", "words", "together", "switching")
PUBLISHED = REPOSITORY / "out" / "try" / "sample" / "try" / "sample" / "revisions"


def main() -> int:
    """Measure the parts that are asked for; the others stay as an earlier run left them."""
    parser = argparse.ArgumentParser(prog="python -m dev.speech_bench", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="folder of a published voice; by default that of make try")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "bench")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "speech.json"
    document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    document["machine"] = machine.describe(threads=usable_cpus())
    bundle = options.bundle or next(iter(sorted(PUBLISHED.glob("*"))), PUBLISHED)
    for part in PARTS:
        if part in options.parts.split(","):
            with step(f"measure {part}"):
                document[part] = _measure(part, bundle)
            path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.out / "speech.md").write_text(markdown(document), encoding="utf-8")
    draw(document, options.out / "speech.svg")
    print(markdown(document))
    return 0


def _measure(part: str, bundle: Path) -> Any:
    work = cache() / "bench-speech"
    if part == "together":
        return together.measure(work / part)
    if part == "switching":
        return switching.measure(work / part)
    if part == "official":
        return first_sound.measure(official(work / "official"), work / part, first_sound.OFFICIAL_ROUNDS)
    voice = trained(bundle)
    return words.measure(voice) if part == "words" else first_sound.measure(voice, work / part, first_sound.ROUNDS)


def markdown(document: Mapping[str, Any]) -> str:
    """Return the figures as tables."""
    lines = ["| base | clients | first sound p50, s | p95, s |", "| --- | --- | --- | --- |"]
    rows = [*document.get("tiny", ()), *document.get("official", ())]
    lines += [f"| {row['base']} | {row['clients']} | {row['p50']:.2f} | {row['p95']:.2f} |" for row in rows]
    if found := document.get("together"):
        lines += ["", f"| {found['clients']} clients, {found['voices']} voices | one at a time | eight at a time |"]
        lines.append("| --- | --- | --- |")
        for key, name in together.NAMES.items():
            lines.append(f"| {name} | " + " | ".join(str(speed[key]) for speed in found["speeds"].values()) + " |")
        checked = found["checked"]
        lines += ["", f"Of {checked['answers']} answers while {checked['exchanged']} revisions were exchanged,"]
        lines += [f"{checked['failed']} failed and {checked['other']} were not that of the same request alone."]
    if found := document.get("switching"):
        lines += ["", "| first sound, s | p50 | p99 |", "| --- | --- | --- |"]
        lines += [
            f"| {switching.NAMES[name]} | {one['p50']:.3f} | {one['p99']:.3f} |"
            for name, one in found["seconds"].items()
        ]
        memory = ", ".join(f"{count}: {size}" for count, size in found["memoryMiB"].items())
        lines += ["", f"Memory in MiB by voices: {memory}."]
    if found := document.get("words"):
        lines += ["", f"| of {found['sentences']} sentences | plain | verify |", "| --- | --- | --- |"]
        for key, name in (("lackingAWord", "lack a word"), ("lackingFirstOrLast", "lack the first or last word")):
            lines.append(f"| {name} | {found[key]['plain']:.2%} | {found[key]['verify']:.2%} |")
        noticed = ", ".join(f"{place} {share:.0%}" for place, share in found["noticed"].items())
        lines += ["", f"Missing words that the listener notices: {noticed}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main_of(main))
