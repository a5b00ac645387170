"""Runs official S1 and S2 files on given arrays, in float32 on the CPU: what `sovits-core verify` does."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sovits_core.errors import InvalidModelInput, SovitsError
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.official.loading import load_s1, load_synthesizer, read_part, version_of
from sovits_core.official.versions import Part
from sovits_core.synthesis.generation import NOISE_SCALE, generate
from sovits_core.synthesis.sampling import Sampling

MOST_TOKENS = 200
LARGEST_INPUTS = 256 * 2**20
"""Bytes of the whole file, and of each array."""
LONGEST = 4096
"""Entries along the time axis of an input; a minute of speech has 1500 tokens and 3000 frames."""
NAMES = ("phones", "bert", "prompt", "codes", "text", "spec", "noise")

Arrays = dict[str, NDArray[np.generic]]


@torch.no_grad()
def verify(s1_file: Path, s2_file: Path, inputs: Path, out: Path) -> None:
    """Write `s1_logits` float32 [P+1, V], `s1_greedy` int64 and `wav` float32 [samples] to an npz file.

    The logits are teacher-forced, from the last text position on; the greedy tokens follow the prompt, with a
    repetition penalty of 1.35, and are at most 200. Nothing is written where anything is refused.

    Raises:
        OfficialFileRejected, CheckpointMismatch: a file is not what it should be.
        InvalidModelInput: an input is missing, of another shape or type, or out of range; it is named.
    """
    if out.is_dir() or not out.parent.is_dir():
        raise SovitsError(f"{out} cannot be written: name a file in a folder that exists")
    arrays = read_inputs(inputs)
    s1_read, _ = read_part(s1_file, Part.S1)
    s2_read, found = read_part(s2_file, Part.S2)
    s1 = load_s1(s1_read)
    s2 = load_synthesizer(s2_read, found, version_of(s2_read, found, None))
    tensors = check_inputs(arrays, s1, s2)
    answers = {**_semantic(s1, tensors), "wav": _waveform(s2, tensors).numpy()}
    partial = out.with_name(f"{out.name}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **answers)
        partial.replace(out)
    except OSError as error:
        raise SovitsError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _semantic(s1: TextToSemantic, inputs: dict[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    phones, bert, prompt = inputs["phones"][None], inputs["bert"].T[None], inputs["prompt"][None]
    lengths = torch.tensor([phones.shape[1]]), torch.tensor([prompt.shape[1]])
    logits = s1(phones, lengths[0], bert, prompt, lengths[1])[0]  # (P + 1, V)
    greedy = generate(s1, phones, bert, prompt, sampling=Sampling(top_k=1), seed=0, max_tokens=MOST_TOKENS)
    return {"s1_logits": logits.numpy(), "s1_greedy": greedy[0].numpy()}


def _waveform(s2: Synthesizer, inputs: dict[str, Tensor]) -> Tensor:
    """Samples (2 N * hop)."""
    sv = inputs["sv"][None] if "sv" in inputs else None
    ge = s2.speaker_embedding(inputs["spec"][None], sv=sv)
    return s2.decode(inputs["codes"][None], inputs["text"][None], ge, NOISE_SCALE * inputs["noise"][None])[0, 0]


def read_inputs(path: Path) -> Arrays:
    """The arrays of an npz file, none of them pickled.

    Raises:
        InvalidModelInput: there is no such file, or it is none, or too large.
    """
    try:
        if path.stat().st_size > LARGEST_INPUTS:
            raise InvalidModelInput(f"{path.name} has more than {LARGEST_INPUTS} bytes")
        with zipfile.ZipFile(path) as archive:  # an array may be compressed: what it unpacks to is bounded as well
            large = [member.filename for member in archive.infolist() if member.file_size > LARGEST_INPUTS]
        if large:
            raise InvalidModelInput(f"{large[0]} in {path.name} has more than {LARGEST_INPUTS} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in (*NAMES, "sv") if name in arrays.files}
    except OSError as error:
        raise InvalidModelInput(f"{path.name} cannot be read: {error.strerror or error}") from error
    except (ValueError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InvalidModelInput(f"{path.name} is no npz file of plain arrays ({error})") from error


def check_inputs(arrays: Arrays, s1: TextToSemantic, s2: Synthesizer) -> dict[str, Tensor]:
    """The inputs as tensors, int64 or float32, each of the shape and range that the networks take.

    Raises:
        InvalidModelInput: naming the input, what it is and what it should be.
    """
    wanted = (*NAMES, *(("sv",) if s2.config.speaker_vector else ()))
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise InvalidModelInput(f"inputs are missing: {', '.join(missing)}")
    tensors = {
        "phones": _ids("phones", arrays, s1.config.phonemes),
        "prompt": _ids("prompt", arrays, s1.config.vocabulary - 1, shortest=0),
        "codes": _ids("codes", arrays, s2.config.codebook_size),
        "text": _ids("text", arrays, s2.config.phonemes),
    }
    tensors["bert"] = _numbers("bert", arrays, (s1.config.bert_dim, len(tensors["phones"])))
    tensors["noise"] = _numbers("noise", arrays, (s2.config.latent, 2 * len(tensors["codes"])))
    tensors["spec"] = _numbers("spec", arrays, (s2.config.spectrogram_bins, None), (s2.config.reference_bins, None))
    if s2.config.speaker_vector:
        tensors["sv"] = _numbers("sv", arrays, (s2.config.speaker_vector,))
    return tensors


def _ids(name: str, arrays: Arrays, rows: int, shortest: int = 1) -> Tensor:
    array = arrays[name]
    if not np.issubdtype(array.dtype, np.integer) or array.ndim != 1:
        raise InvalidModelInput(f"{name} must be int64 [length], it is {array.dtype} {list(array.shape)}")
    if not shortest <= len(array) <= LONGEST:
        raise InvalidModelInput(f"{name} has {len(array)} entries, it must have {shortest} to {LONGEST}")
    if len(array) and not 0 <= int(array.min()) <= int(array.max()) < rows:
        raise InvalidModelInput(f"{name} holds {array.min()} to {array.max()}, the table has rows 0 to {rows - 1}")
    return torch.from_numpy(array.astype(np.int64))


def _numbers(name: str, arrays: Arrays, *shapes: tuple[int | None, ...]) -> Tensor:
    """A None in a shape stands for 1 to `LONGEST`."""
    array = arrays[name]
    fits = any(
        array.ndim == len(shape)
        and all(
            1 <= size <= LONGEST if want is None else size == want
            for size, want in zip(array.shape, shape, strict=True)
        )
        for shape in shapes
    )
    if not np.issubdtype(array.dtype, np.floating) or not fits:
        wanted = " or ".join(
            str(["F" if want is None else want for want in shape]).replace("'", "") for shape in shapes
        )
        raise InvalidModelInput(
            f"{name} must be float32 {wanted} with F of 1 to {LONGEST}, it is {array.dtype} {list(array.shape)}"
        )
    numbers = array.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise InvalidModelInput(f"{name} holds values that are not finite")
    return torch.from_numpy(numbers)
