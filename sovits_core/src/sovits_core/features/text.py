"""Text features of Mandarin for S1: one BERT vector per character, repeated for each of its phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import BertConfig, BertModel, BertTokenizer, PreTrainedTokenizerBase

from sovits_core.errors import CheckpointMismatch, InvalidModelInput
from sovits_core.text import PhonemeSegment

UNUSED_LAYERS = 2
"""S1 was trained on hidden_states[-3]: what the last two layers add, it never saw. They are not even loaded."""
MARKS = 2
"""[CLS] and [SEP] stand around the characters."""


@dataclass(frozen=True)
class TextEncoder:
    """A BERT without its last layers, and the vocabulary of its characters."""

    model: BertModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def width(self) -> int:
        """Of one vector."""
        return int(self.model.config.hidden_size)


def load_bert(folder: Path) -> TextEncoder:
    """The text encoder of a folder with config.json, model.safetensors and vocab.txt; float32, frozen.

    Raises:
        CheckpointMismatch: the folder does not hold one.
    """
    try:
        config = BertConfig.from_json_file(folder / "config.json")
        config.num_hidden_layers -= UNUSED_LAYERS
        loaded: Any = BertModel.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            add_pooling_layer=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
        tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointMismatch(folder.name, [f"it holds no readable BERT ({error})"]) from error
    model, loading = loaded
    if missing := sorted(loading["missing_keys"]):
        raise CheckpointMismatch(f"the BERT in {folder.name}", [f"{key} is missing" for key in missing])
    return TextEncoder(model.eval().requires_grad_(requires_grad=False), tokenizer)


# Devlin et al. 2018, BERT, arXiv:1810.04805
def bert_features(encoder: TextEncoder, normalized: str, word2ph: Sequence[int], *, half: bool = False) -> Tensor:
    """Vectors for the phones of one piece of text.

    Args:
        encoder: from `load_bert`.
        normalized: what the front end made of the text; each character is one token.
        word2ph: how many phones each character has.
        half: compute in float16 where autocast holds it safe.

    Returns:
        float32 (phones, width), on the encoder's device.

    Raises:
        InvalidModelInput: the counts do not belong to the text, or it is longer than the encoder reads at once.
    """
    if len(word2ph) != len(normalized):
        raise InvalidModelInput(
            f"word2ph counts the phones of {len(word2ph)} characters, the text has {len(normalized)}: they must be of"
            " one text"
        )
    longest = int(encoder.model.config.max_position_embeddings) - MARKS
    if len(normalized) > longest:
        raise InvalidModelInput(
            f"the text has {len(normalized)} characters, the text encoder reads {longest} at once: split it first"
        )
    device = encoder.model.device
    tokens = ["[CLS]", *normalized, "[SEP]"]
    ids = torch.tensor([encoder.tokenizer.convert_tokens_to_ids(tokens)], device=device)
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.float16, enabled=half):
        hidden: Tensor = encoder.model(ids).last_hidden_state[0, 1:-1]  # (characters, width)
    return hidden.float().repeat_interleave(torch.tensor(word2ph, device=device), dim=0)


def text_features(encoder: TextEncoder, spoken: Sequence[PhonemeSegment], *, half: bool = False) -> Tensor:
    """One row per phone for what `phonemize` made of a text; rows of other languages than Mandarin are zero.

    Returns:
        float32 (phones of all parts, width), on the encoder's device.

    Raises:
        InvalidModelInput: a part is longer than the encoder reads at once.
    """
    rows = [
        bert_features(encoder, part.normalized, part.word2ph, half=half)
        if part.language == "zh" and part.word2ph is not None
        else torch.zeros(len(part.phones), encoder.width, device=encoder.model.device)
        for part in spoken
    ]
    return torch.cat(rows)
