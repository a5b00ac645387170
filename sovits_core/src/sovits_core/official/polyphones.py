"""A g2pW folder copied into a base: what is read of it and the vocabulary that it needs, tried before it counts."""

import shutil
from pathlib import Path

from sovits_core.text.chinese.characters import LARGEST_FILE, VOCABULARY, require_file
from sovits_core.text.chinese.g2pw import FILES, LARGEST_NETWORK, NETWORK, open_g2pw


def copy_g2pw(source: Path, bert: Path | None, target: Path) -> None:
    """Copy the files that a reader takes, and open the copy.

    The official folder lacks vocab.txt: the model was trained with the one of the text encoder.

    Args:
        source: the folder.
        bert: of the text encoder, for the vocabulary that `source` lacks.
        target: the folder to make.

    Raises:
        TextModelRejected: a file is missing, too large or not what it should be.
    """
    target.mkdir()
    for name in FILES:
        lacking = name == VOCABULARY and not (source / name).exists()
        folder = bert if lacking and bert else source
        path = require_file(folder, name, LARGEST_NETWORK if name == NETWORK else LARGEST_FILE)
        shutil.copyfile(path, target / name)
    open_g2pw(target)
