"""`python -m dev.voice_bench`: measure the speech of a base, and of voices fine-tuned on it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from dev.errors import DevError
from dev.paths import REPOSITORY, cache
from dev.terminal import main_of, say, step
from dev.voice_bench import flite
from dev.voice_bench.audio import read16
from dev.voice_bench.page import page
from dev.voice_bench.plots import draw, spectrogram
from dev.voice_bench.progress import Task, run_all
from dev.voice_bench.speakers import NONE, BenchSpeaker, chosen, speakers_of
from dev.voice_bench.summary import document_of
from dev.voice_bench.table import markdown_tables, text_tables
from dev.voice_bench.tasks import Plan, embed_speaker, measure_flite, measure_speaker
from dev.voice_bench.texts import SPOKEN, sentences
from sovits_core.bench import machine
from sovits_core.bundle.base import BaseBundle, open_base
from sovits_core.errors import BaseRejected

RECORDINGS = REPOSITORY.parent / "shared" / "data"


def main() -> int:
    """Measure, and write `voice.json`, `voice.svg`, `voice.html`, `voice.md` and samples."""
    options = _options()
    base = _base(options.base)
    all_speakers = () if options.speakers == NONE else speakers_of(options.recordings)
    speakers = chosen(all_speakers, options.speakers)
    spoken = sentences()[: options.sentences]
    store = cache() / "bench-voice"
    work = store / base.digest.removeprefix("sha256:")[:12]
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(base, work, store / "recognised", options.out / "voice", spoken)
    shutil.rmtree(plan.samples, ignore_errors=True)
    if not options.keep:
        _remove_other_bases(store, work)
    host = machine.describe(threads=1)
    if host["loaded"]:
        say(f"warning: load average {host['loadAverage']}: training times will be too long")
    with step(f"measure the base and {len(speakers)} speakers' voices with {len(spoken)} sentences each"):
        tasks = _tasks(plan, speakers, all_speakers)
        results = run_all(tasks)
    count = len(speakers)
    document = document_of(
        results[:count], results[count : count + len(flite.VOICES)], dict(results[count + len(flite.VOICES) :])
    )
    document |= {"spoken": len(spoken), "base": {"name": base.document.name, "digest": base.digest}, "machine": host}
    _write(document, options.out)
    return 0


def _tasks(plan: Plan, speakers: tuple[BenchSpeaker, ...], all_speakers: tuple[BenchSpeaker, ...]) -> list[Task]:
    """Every task with an estimate of its seconds, the longest first."""
    recognition = 4.0 * len(plan.spoken)
    tasks = []
    for speaker in speakers:
        size = sum(path.stat().st_size for path in speaker.clips()) / 32_000  # some seconds of FLAC
        steps = (1.5 * size, 60.0, recognition, recognition)
        tasks.append(Task(f"voice {speaker.name}", measure_speaker, (plan, speaker), steps))
    tasks += [
        Task(f"flite {voice}", measure_flite, (plan, voice), (recognition, recognition)) for voice in flite.VOICES
    ]
    tasks += [Task(f"embedding {one.name}", embed_speaker, (plan, one), (10.0,)) for one in all_speakers]
    return tasks


def _write(document: dict[str, Any], out: Path) -> None:
    """Write all results, and print the tables."""
    tables = text_tables(document)
    (out / "voice.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (out / "voice.md").write_text(markdown_tables(document) + "\n", encoding="utf-8")
    draw(document, out / "voice.svg")
    pictures = {}
    for sound in sorted((out / "voice").rglob("*.flac")):
        spectrogram(read16(sound), sound.with_suffix(".png"))
        pictures[sound.relative_to(out).as_posix()] = sound.with_suffix(".png").relative_to(out).as_posix()
    (out / "voice.html").write_text(page(document, tables, "voice.svg", pictures), encoding="utf-8")
    print(tables)
    for name in ("voice.json", "voice.svg", "voice.html", "voice.md"):
        say(f"    {out / name}")


def _base(folder: str) -> BaseBundle:
    try:
        base = open_base(folder)
    except BaseRejected as error:
        raise DevError(
            f"--base {folder}: {error}", remedy="name a folder with a base.json, or embedded:tiny"
        ) from error
    if not base.document.graphs:
        raise DevError(
            f"--base {folder} has no graphs, and the server runs nothing else",
            remedy="make it with `make base` or `sovits-core import-base`",
        )
    return base


def _remove_other_bases(store: Path, work: Path) -> None:
    for folder in sorted(store.iterdir()) if store.is_dir() else ():
        if folder.is_dir() and folder.name not in {"recognised", work.name}:
            shutil.rmtree(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-voice", description=__doc__)
    parser.add_argument("--base", default="embedded:tiny", help="a base's folder (default: %(default)s)")
    parser.add_argument(
        "--recordings",
        type=Path,
        default=RECORDINGS,
        help="a folder with ljspeech/ and librispeech/ (default: %(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out" / "bench", help="where results go (default: out/bench)"
    )
    parser.add_argument(
        "--speakers", default="", help="comma-separated, such as ljspeech,2033; none: the base alone (default: all)"
    )
    parser.add_argument(
        "--sentences", type=int, default=SPOKEN, choices=range(1, SPOKEN + 1), metavar="N",
        help=f"how many to synthesize, 1 to {SPOKEN} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the cache of other bases")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main_of(main))
