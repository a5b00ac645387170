"""The program that writes down speech, apart from the job.

Started by ``job/workers.py``, which says how it is asked. The data are float32 samples at 16 kHz. A question has the
``language``, the ``folder`` of a Whisper (empty: pocketsphinx) and the ``threads`` to use; the answer has ``text`` and
``confidence``. A question with ``load`` has no data: it is answered once the recogniser is loaded.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from voice_trainer.recognition.written import Written
from voice_trainer.recordings.decoding import Samples

Write = Callable[[Samples], Written]


@cache
def recogniser(language: str, folder: str, threads: int) -> Write:
    """Return what writes a language; libraries are imported here, because each recogniser needs others."""
    if not folder:
        from voice_trainer.recognition.pocket_sphinx import PocketSphinx  # noqa: PLC0415

        return PocketSphinx().write
    import torch  # noqa: PLC0415

    from voice_trainer.recognition.whisper import NotWhisper, Whisper  # noqa: PLC0415

    torch.set_num_threads(threads)
    try:
        whisper = Whisper.load(Path(folder))
    except NotWhisper as error:
        raise ValueError(str(error)) from error
    return lambda samples: whisper.write(samples, language)


def answer(asked: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Return what is written, or nothing once it could be."""
    write = recogniser(asked["language"], asked["folder"], asked["threads"])
    if asked.get("load"):
        return {}
    written = write(np.frombuffer(data, dtype="<f4"))
    return {"text": written.text, "confidence": written.confidence}


def main() -> None:
    """Answer each line until there is none."""
    with os.fdopen(int(sys.argv[1]), "rb", buffering=0) as given:
        answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
        for line in sys.stdin:
            given.seek(0)
            try:
                found = answer(json.loads(line), given.read())
            except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
                found = {"error": str(error)[:200] or type(error).__name__}
            answers.write(json.dumps(found) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
