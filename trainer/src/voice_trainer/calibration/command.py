"""`voice-trainer calibrate`: measure what a base reaches on real speakers, and write it as the base's own gates."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from sovits_core.bundle.base import EMBEDDED, BaseBundle, BaseDocument, Gate, open_base
from sovits_core.bundle.writing import new_folder
from sovits_core.validation import one_line
from voice_trainer.calibration.bounds import GATED, MIN_SPEAKERS, RULE, gates_for, left_out, passes
from voice_trainer.calibration.speakers import CalibratedVoice, calibrate_speaker
from voice_trainer.calibration.table import table
from voice_trainer.errors import BadData, UsageError
from voice_trainer.evaluation.metrics import METRICS, is_measured
from voice_trainer.job.algorithm import EVALUATION
from voice_trainer.job.display import open_display
from voice_trainer.job.limits import Limits
from voice_trainer.job.results import now
from voice_trainer.recognition.recogniser import is_recognised
from voice_trainer.settings import read_settings

logger = logging.getLogger(__name__)

HELP = "measure what a base reaches on real speakers, and write its gates"
BASE_JSON = "base.json"
MIN_SPEECH_SECONDS = Limits().min_speech_seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--base", required=True, help="embedded:tiny, or the folder of a base")
    parser.add_argument(
        "--recordings",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help=f"one folder a speaker, at least {MIN_SPEAKERS}, as a voice's dataset; not the speakers of the base",
    )
    parser.add_argument("--language", default="en", help="of the recordings (default: %(default)s)")
    parser.add_argument("--metrics", default=",".join(GATED), help="that become gates (default: %(default)s)")
    parser.add_argument(
        "--min-speech-seconds",
        type=float,
        default=MIN_SPEECH_SECONDS,
        metavar="N",
        help="least speech of a speaker (default: %(default)g, as for a voice)",
    )
    parser.add_argument("--work", type=Path, help="folder that keeps trainings, so that a second call continues")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, help="folder to make: a copy of the base with the gates")
    target.add_argument("--in-place", action="store_true", help="write the gates into the base's own base.json")


def run(options: argparse.Namespace) -> int:
    """Calibrate, print the table and, where asked, write the gates; return the exit code.

    Raises:
        TrainerError, SovitsError: the input must be changed.
    """
    base = open_base(options.base)
    metrics = _metrics(options.metrics, options.language)
    if options.in_place and options.base.startswith(EMBEDDED):
        raise UsageError("--in-place cannot change the embedded base; name a new folder with --out")
    folders = list(dict.fromkeys(folder.resolve() for folder in options.recordings))
    if len(folders) < MIN_SPEAKERS:
        raise UsageError(f"--recordings names {len(folders)} speakers, at least {MIN_SPEAKERS} are needed")
    if options.language not in base.document.languages:
        raise UsageError(f"--language {options.language}: the base speaks {', '.join(base.document.languages)}")
    with ExitStack() as cleanup:
        work = options.work or Path(cleanup.enter_context(TemporaryDirectory(prefix="voice-calibrate-")))
        voices = _calibrate_all(base, folders, options.language, work, options.min_speech_seconds)
    if len(voices) < MIN_SPEAKERS:
        raise BadData(
            f"only {len(voices)} of {len(folders)} speakers could be measured, at least {MIN_SPEAKERS} are needed; "
            "see the messages above",
            reason="TooFewSpeakers",
        )
    reached = [one.voice for one in voices]
    gates = gates_for(reached, metrics)
    share = [sum(passes(gates, voice) for voice in reached), sum(left_out(reached, metrics)), len(voices)]
    sys.stdout.write(table(voices, gates))
    sys.stdout.write(f"{share[0]} of {share[2]} voices pass these gates; {share[1]} pass gates made from the others.\n")
    calibration = calibration_of(base, voices, options.language, share)
    if options.out:
        copy = write_copy(base, options.out, gates, calibration)
        sys.stdout.write(f"{options.out} has these gates; its digest is {copy.digest}\n")
    elif options.in_place:
        digest = write_gates(base.folder, gates, calibration).digest
        sys.stdout.write(f"{base.folder} has these gates; its digest is now {digest}: voices on it train again\n")
    return 0


def calibration_of(
    base: BaseBundle, voices: Sequence[CalibratedVoice], language: str, share: Sequence[int]
) -> dict[str, Any]:
    """Return the gates' provenance, as base.json keeps it."""
    return {
        "rule": RULE,
        "base": base.digest,
        "language": language,
        "trainer": version("voice-trainer"),
        "evaluation": EVALUATION,
        "calibratedAt": now(),
        "passed": share[0],
        "passedLeftOut": share[1],
        "speakers": [
            {
                "name": one.speaker,
                "dataset": one.dataset_digest,
                "clips": one.clips,
                "scores": {name: f"{value:.3f}" for name, value in one.voice.scores.items()},
                "baseScores": {name: f"{value:.3f}" for name, value in one.base_alone.scores.items()},
            }
            for one in voices
        ],
    }


def write_copy(base: BaseBundle, folder: Path, gates: Sequence[Gate], calibration: dict[str, Any]) -> BaseBundle:
    """Copy a base and give the copy these gates.

    Raises:
        SovitsError: there is something at the place already, or a file of the base is damaged.
    """
    with new_folder(folder) as partial:
        shutil.copyfile(base.folder / BASE_JSON, partial / BASE_JSON)
        for name in base.document.files:
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base.path(name), target)
        write_gates(partial, gates, calibration)
    return open_base(str(folder))


def write_gates(folder: Path, gates: Sequence[Gate], calibration: dict[str, Any]) -> BaseBundle:
    """Replace the gates in a base's base.json, and nothing else of it; the file is replaced as a whole."""
    path = folder / BASE_JSON
    document = json.loads(path.read_bytes())
    document["gates"] = [gate.model_dump(mode="json", by_alias=True, exclude_none=True) for gate in gates]
    document["gatesNote"] = (
        f"Measured by voice-trainer calibrate on {len(calibration['speakers'])} speakers ({calibration['language']}), "
        f"{calibration['calibratedAt'][:10]}: {RULE}."
    )
    document["calibration"] = calibration
    try:
        BaseDocument.model_validate(document)
    except ValidationError as error:
        raise BadData(f"the gates make no valid base.json: {one_line(error)}", reason="BadGates") from error
    partial = path.with_name(f"{BASE_JSON}.partial")
    partial.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
    return open_base(str(folder))


def _calibrate_all(
    base: BaseBundle, folders: Sequence[Path], language: str, work: Path, seconds: float
) -> list[CalibratedVoice]:
    settings, limits = read_settings(), Limits(min_speech_seconds=seconds)
    voices = []
    with open_display(settings.log_level, settings.progress_seconds) as display:
        for number, folder in enumerate(folders, start=1):
            logger.info("calibrate: speaker %d of %d, %s", number, len(folders), folder)
            try:
                voices.append(calibrate_speaker(base, folder, language, work, limits=limits, display=display))
            except (BadData, UsageError) as error:
                logger.warning("calibrate: %s is left out: %s", folder, error)
    return voices


def _metrics(names: str, language: str) -> list[str]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in METRICS]:
        raise UsageError(f"--metrics: {unknown[0]!r} is not measured; known: {', '.join(METRICS)}")
    return [name for name in wanted if is_measured(name, recognised=is_recognised(language, has_folder=False))]
