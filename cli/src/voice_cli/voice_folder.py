"""A voice as a folder, ``voice.yaml``, ``metadata.csv`` and ``wavs/``: read, or refused with all that is wrong."""

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from voice_cli.api import API_VERSION, MAX_NAME, NAME, Object
from voice_cli.errors import FolderRefused
from voice_cli.pointers import pointer_problem
from voice_cli.text_list import list_problems
from voice_store import InvalidKey, check_key
from voice_store.printable import printable

MANIFEST = "voice.yaml"
LIST = "metadata.csv"
CLIPS = "wavs"
MANIFEST_BYTES = 1 << 20
CLIP_BYTES = 64 << 20
MIN_SPEECH_SECONDS = 60  # the trainer's; a folder with less sound than that has less speech too
FILES_LIMIT = 20_000


@dataclass(frozen=True)
class VoiceFolder:
    """A folder that can be pushed."""

    path: Path
    name: str
    manifest: Object  # the VoiceModel, as voice.yaml has it
    files: tuple[str, ...]  # keys of the recordings' files, as metadata.csv and wavs/001.wav, sorted
    seconds: float | None  # of sound, as far as the heads of the files tell; None: they do not


def read_folder(path: Path) -> VoiceFolder:
    """Read and check a voice's folder; nothing outside of it is read.

    Raises:
        FolderRefused: it cannot be pushed; with every problem that was found.
    """
    if not path.is_dir():
        raise FolderRefused(str(path), ["is no folder; a voice is a folder with voice.yaml, metadata.csv and wavs/"])
    name = path.resolve().name
    problems: list[str] = []
    manifest = _manifest(path, name, problems)
    known = len(problems)
    files = _files(path, problems)
    spec = manifest.get("spec")
    if len(problems) == known:  # or the list names files that are told to be wrong already
        problems += list_problems(path, files, str(spec.get("language") or "") if isinstance(spec, dict) else "")
    seconds = None if problems else _seconds(path, files)
    if seconds is not None and seconds < MIN_SPEECH_SECONDS:
        problems.append(
            f"{CLIPS}/ has {seconds:.0f} s of sound; at least {MIN_SPEECH_SECONDS} s of speech are needed: record more"
        )
    if problems:
        raise FolderRefused(str(path), problems)
    return VoiceFolder(path, name, manifest, files, seconds)


def _manifest(path: Path, name: str, problems: list[str]) -> Object:
    """Return voice.yaml, with the problems that the API server could not name."""
    file = path / MANIFEST
    if not file.is_file() or file.is_symlink():
        problems.append(f"{MANIFEST} is missing; it holds the VoiceModel: language, consent, training")
        return {}
    try:
        with file.open("rb") as opened:
            text = opened.read(MANIFEST_BYTES + 1).decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            problems.append(f"{MANIFEST} refers to parts of itself (* and &); write them out")
            return {}
        documents = list(yaml.safe_load_all(text)) if len(text) <= MANIFEST_BYTES else []
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        problems.append(f"{MANIFEST} is no YAML: {printable(' '.join(str(error).split()))[:300]}")
        return {}
    if len(documents) != 1 or not isinstance(documents[0], dict):
        problems.append(f"{MANIFEST} must hold one VoiceModel, and holds {len(documents)} documents")
        return {}
    manifest: Object = documents[0]
    problems += [f"{MANIFEST}: {problem}" for problem in _manifest_problems(manifest, name)]
    return manifest


def _manifest_problems(manifest: Object, name: str) -> Iterator[str]:
    if (manifest.get("apiVersion"), manifest.get("kind")) != (API_VERSION, "VoiceModel"):
        yield (
            f"apiVersion and kind are {printable(str(manifest.get('apiVersion')))[:80]} and "
            f"{printable(str(manifest.get('kind')))[:80]}; write {API_VERSION} and VoiceModel"
        )
    metadata = manifest.get("metadata") or {}
    spec = manifest.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        yield "metadata and spec must be mappings"
        return
    if metadata.get("name", name) != name:
        yield f"metadata.name is {printable(str(metadata['name']))[:80]!r} and the folder {name!r}; make them the same"
    if len(name) > MAX_NAME or not NAME.fullmatch(name):
        yield (
            f"the folder's name {printable(name)[:80]!r} is no name of a voice: at most {MAX_NAME} lower-case letters, "
            "digits and '-', starting with a letter"
        )
    for field in ("dataset", "source"):
        if not isinstance(spec.get(field, {}), dict):
            yield f"spec.{field} must be a mapping"
    dataset = spec.get("dataset") if isinstance(spec.get("dataset"), dict) else {}
    if dataset and dataset.get("digest"):
        yield "spec.dataset.digest is filled in by push from the recordings; take it out"


def _files(path: Path, problems: list[str]) -> tuple[str, ...]:
    """Return the keys of what is uploaded: the list and the clips."""
    if (path / CLIPS).is_symlink():
        problems.append(f"{CLIPS} is a link; put the folder itself there")
        return ()
    found: list[str] = []
    for file in sorted([path / LIST, *(path / CLIPS).rglob("*")] if (path / CLIPS).is_dir() else [path / LIST]):
        key = file.relative_to(path).as_posix()
        if any(part.startswith(".") for part in key.split("/")) or (file.is_dir() and not file.is_symlink()):
            continue
        if file.suffix == ".dvc" and file.with_suffix("").is_file():
            continue  # what it points to is here
        if problem := _file_problem(file, key):
            problems.append(problem)
        else:
            found.append(key)
        if len(found) > FILES_LIMIT:
            problems.append(f"{CLIPS}/ has more than {FILES_LIMIT} files; is it the right folder?")
            break
    if not any(key.startswith(f"{CLIPS}/") for key in found) and not problems:
        what = pointer_problem(path / f"{CLIPS}.dvc", f"{CLIPS}.dvc") if (path / f"{CLIPS}.dvc").exists() else ""
        problems.append(what or f"{CLIPS}/ has no recordings; put one file for each line of {LIST} there")
    return tuple(found)


def _file_problem(file: Path, key: str) -> str:
    """Return what is wrong with one file; empty: nothing."""
    if file.is_symlink():
        return f"{printable(key)} is a link; put the file itself there"
    if not file.is_file():
        beside = file.with_name(f"{file.name}.dvc")
        return pointer_problem(beside, f"{key}.dvc") if beside.exists() else f"{printable(key)} is missing"
    return _name_problem(key) or pointer_problem(file, key) or _size_problem(file.stat().st_size, key)


def _name_problem(key: str) -> str:
    try:
        check_key(key)
    except InvalidKey as error:
        return f"{printable(key)}: {error}"
    return ""


def _size_problem(size: int, key: str) -> str:
    if size == 0:
        return f"{printable(key)} is empty; record or copy it again"
    if size > CLIP_BYTES:
        return f"{printable(key)} has {size >> 20} MiB, at most {CLIP_BYTES >> 20} are taken; cut it at sentence ends"
    return ""


def _seconds(path: Path, files: tuple[str, ...]) -> float | None:
    """Return the seconds of sound where every clip is a PCM WAV file; None: some are not, and the trainer will tell."""
    total = 0.0
    for key in files:
        if key == LIST:
            continue
        try:
            with wave.open(str(path / key), "rb") as clip:
                total += clip.getnframes() / clip.getframerate()
        except (wave.Error, EOFError, OSError, ZeroDivisionError):
            return None
    return total
