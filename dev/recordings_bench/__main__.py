"""`python -m dev.recordings_bench`: writes recordings.json, recordings.svg and recordings.md into out/bench."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dev.paths import REPOSITORY, cache
from dev.recordings_bench.cost import cost_rows, fit
from dev.recordings_bench.joined import joined_rows
from dev.recordings_bench.music import music_rows
from dev.recordings_bench.plots import draw
from dev.recordings_bench.sets import speaker_rows, text_rows, totals
from dev.recordings_bench.sound import fault_rows, noise_rows
from dev.recordings_bench.speech import CHOSEN_ON, LJSPEECH, REPORTED, Utterance, all_utterances
from dev.terminal import main_of, step
from sovits_core.bench import machine
from sovits_core.cpus import usable_cpus
from voice_trainer.recordings.examination import Examination, Examiner, open_workers

RECORDINGS = REPOSITORY.parent / "shared" / "data"
PARTS = ("noise", "faults", "music", "texts", "speakers", "words", "cost")
BY_HAND = ("words",)  # needs a package of its own: PARTS=words


def main() -> int:
    """Measure the parts that are asked for; the others stay as an earlier run left them."""
    parser = argparse.ArgumentParser(prog="python -m dev.recordings_bench", description=__doc__)
    parser.add_argument(
        "--recordings", type=Path, default=RECORDINGS, help="folder with ljspeech/, librispeech/, noise/"
    )
    parser.add_argument("--music", type=Path, help="folder with recorded pieces, for the part music")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "bench")
    usual = ",".join(part for part in PARTS if part not in BY_HAND)
    parser.add_argument("--parts", default=usual, help=f"some of {','.join(PARTS)} (default: %(default)s)")
    parser.add_argument("--minutes", default="1,5,30", help="of audio, for the part cost")
    options = parser.parse_args()
    parts = options.parts.split(",")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "recordings.json"
    document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    document["machine"] = machine.describe(threads=usable_cpus())
    for part in PARTS:
        if part in parts:
            with step(f"measure {part}"):
                document[part] = _measure(part, options.recordings, options.minutes, options.music)
            path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    tables = markdown(document)
    (options.out / "recordings.md").write_text(tables + "\n", encoding="utf-8")
    draw(document, options.out / "recordings.svg")
    print(tables)
    return 0


def _measure(part: str, data: Path, minutes: str, music: Path | None) -> Any:
    readers = all_utterances(data, [LJSPEECH, *REPORTED, *CHOSEN_ON])
    reported = [clip for reader in REPORTED for clip in readers[reader]]
    if part == "noise":
        clips = [*readers[LJSPEECH][:4], *(readers[reader][n] for reader in REPORTED for n in (0, 1))]
        with open_workers() as workers:
            return noise_rows(workers, clips, [clip for reader in CHOSEN_ON for clip in readers[reader]], data)
    if part in {"faults", "music"}:
        some, every = [*readers[LJSPEECH][:10], *reported], [*readers[LJSPEECH], *reported]
        return fault_rows(some) if part == "faults" else music_rows(every, music)
    if part == "texts":
        rows = text_rows(readers[LJSPEECH], _examinations(readers[LJSPEECH]))
        return {"rows": rows, "totals": totals(rows)}
    if part == "speakers":
        rows = speaker_rows({reader: readers[reader] for reader in REPORTED}, _examinations(reported))
        return {"rows": rows, "totals": totals(rows), "joined": joined_rows(readers)}
    if part == "words":
        from dev.recordings_bench.tiny_whisper import make_folder  # noqa: PLC0415 -- torch, which no other part needs
        from dev.recordings_bench.words import word_rows  # noqa: PLC0415

        return word_rows(readers, make_folder(cache() / "whisper-tiny-en"))
    clips = [clip for group in readers.values() for clip in group]
    with tempfile.TemporaryDirectory() as work:
        rows = cost_rows(clips, [float(size) for size in minutes.split(",")], Path(work))
    return {"rows": rows, "fit": fit(rows)}


def _examinations(clips: Sequence[Utterance]) -> dict[str, Examination]:
    folder = cache() / "bench-recordings"
    with open_workers() as workers, ThreadPoolExecutor(usable_cpus()) as pool:
        examiner = Examiner(workers, folder, language="en", denoise="auto", rate=32_000)
        found = pool.map(lambda clip: examiner.examine(clip.sound)[0], clips)
        return {clip.id: one for clip, one in zip(clips, found, strict=True)}


def markdown(document: Mapping[str, Any]) -> str:
    """Return the tables that docs/recordings.md shows."""
    tables = []
    if "noise" in document:
        scores = [f"{score}{when}" for score in ("overall", "pesq", "stoi") for when in ("Before", "After")]
        tables.append(_table(document["noise"], "noise", "levelDb", *scores, "denoisedByAuto", "worstStoiChange"))
    if "faults" in document:
        tables.append(_table(document["faults"]))
    if "music" in document:
        tables.append(_table(document["music"]))
    tables += [_table([document[part]["totals"]]) for part in ("texts", "speakers") if part in document]
    if "joined" in document.get("speakers", {}):
        tables.append(_table(document["speakers"]["joined"]))
    if "words" in document:
        tables.append(_table(document["words"]))
    if "cost" in document:
        tables.append(_table(document["cost"]["rows"]))
    return "\n\n".join(tables)


def _table(rows: Sequence[Mapping[str, Any]], *keys: str) -> str:
    keys = keys or tuple(rows[0])
    lines = [keys, ["---"] * len(keys), *([str(row[key]) for key in keys] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main_of(main))
