"""Features of clips: what stage features writes is what later stages read."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from voice_trainer.errors import Refused
from voice_trainer.training.clip_features import ClipFeatures, load_clip_features


@pytest.mark.parametrize("bert", [None, torch.rand(3, 8)], ids=["without text features", "with text features"])
def test_features_survive_a_file(tmp_path: Path, bert: torch.Tensor | None) -> None:
    written = ClipFeatures(torch.tensor([1, 2, 3]), bert, torch.tensor([4, 5]), torch.rand(6))
    written.save(tmp_path, "clip")
    found = load_clip_features(tmp_path, "clip")
    assert torch.equal(found.phones, written.phones)
    assert torch.equal(found.tokens, written.tokens)
    assert torch.equal(found.speaker_embedding, written.speaker_embedding)
    assert found.bert is None if bert is None else torch.equal(found.bert, bert)  # type: ignore[arg-type]


def test_features_of_another_version_are_refused_with_the_remedy(tmp_path: Path) -> None:
    save_file({"phones": torch.tensor([1]), "codes": torch.tensor([1])}, tmp_path / "clip.safetensors")
    with pytest.raises(Refused, match=r"have no 'tokens': .* start again with a new inputHash") as caught:
        load_clip_features(tmp_path, "clip")
    assert caught.value.reason == "FeaturesOutdated"
