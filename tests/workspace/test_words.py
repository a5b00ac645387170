"""The product speaks the field's language: retired words of ours do not come back."""

import re
import subprocess
from pathlib import Path

import pytest

# Retired word (a regular expression, matched as a whole word, in code and prose) -> the field's word.
RETIRED = {
    # models, training, measurement
    r"[Dd]isguise[sd]?|DISGUISED": "speaker augmentation, VTLP",
    r"[Dd]isturbances?|disturbed": "acoustic augmentation",
    r"(Frame|Scale|Period)Judge|Judgements?": "discriminator, discriminator output",
    r"downhill|sharper": "gradient",
    r"HALVES": "sub-phone states",
    r"MISHEARD\w*|WRONG_INPUT": "token noising",
    r"COLDEST": "MIN_TEMPERATURE",
    r"FIRST_STOP": "MIN_TOKENS",
    r"[Rr]unaways?": "max length",
    r"Seam|_quiet_cut": "overlap, cross-fade",
    r"best_path": "viterbi",
    r"in the light of": "conditioned on",
    r"Ears": "Transcriber",
    r"Voiceprint": "speaker embedding",
    r"nearest_is_own": "speaker identification accuracy",
    r"by heart": "memorise",
    r"pretrain(?!ed\()\w*": "training from scratch, base training",
    # operator, server, tools
    r"notes_of|complaints?|complain": "events_between, record_error",
    r"carry_out": "apply",
    r"voice_left|voice_changed": "on_deleted, on_updated",
    r"again_after": "requeue_after",
    r"PATIENCE": "TIMEOUT_SECONDS",
    r"NotOurs": "OwnershipConflict",
    r"forget_except": "prune, promote",
    r"among_others|when_alone|only_one|politely|leftovers": "shared and exclusive lock, graceful, cleanup",
    r"_?hand_over": "load image, put",
    r"[A-Z]\w*Seen": "Observed…",
}
RETIRED_FILES = frozenset(
    """
    world.py notes.py keys.py difference.py problems.py edge.py interruption.py reading.py speaking.py figures.py
    cores.py agent.py disguises.py disturbances.py pulses.py pieces.py leftovers.py
    """.split()  # noqa: SIM905 -- a list of names reads better as text
)
# The research member speaks of the training of the base; an attribution names a work as its authors do.
EXCEPTIONS = {
    r"pretrain(?!ed\()\w*": (
        "dev/",
        "tests/",
        "docs/",
        "sovits_core/src/sovits_core/official/attribution.py",
        "trainer/src/voice_trainer/recordings/models.py",
    ),
}
DATA = ("dev/tiny_base/LOG.md", "dev/tiny_base/src/tiny_base/words.toml", "docs/decisions/")
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".tpl", ""}
HERE = "tests/workspace/test_words.py"


def product_files(repository: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return [
        name
        for name in listed
        if (repository / name).is_file() and Path(name).suffix in TEXT and name != HERE and not name.startswith(DATA)
    ]


@pytest.mark.parametrize("word", RETIRED, ids=RETIRED.values())
def test_a_retired_word_stays_away(word: str, repository: Path) -> None:
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{word})(?![A-Za-z0-9])")
    found = []
    for name in product_files(repository):
        if name.startswith(EXCEPTIONS.get(word, ("\0",))):
            continue
        for number, line in enumerate((repository / name).read_text(encoding="utf-8").splitlines(), start=1):
            if pattern.search(line.replace("from_pretrained", "").replace("save_pretrained", "")):
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert found == [], f"say {RETIRED[word]!r}"


def test_no_file_has_a_retired_name(repository: Path) -> None:
    assert [name for name in product_files(repository) if Path(name).name in RETIRED_FILES] == []
