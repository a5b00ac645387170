"""A base is opened by URI, and no file of it is used before its digest was compared."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sovits_core.bundle.base import DEFAULT_GATES, BaseDocument, open_base
from sovits_core.bundle.model_config import MelSynthesizerConfig, VocoderConfig
from sovits_core.bundle.strategies import (
    AlignedTokens,
    EncoderTokens,
    FullTarget,
    LearningRateMultipliers,
    SmoothedTarget,
)
from sovits_core.errors import BaseRejected
from sovits_core.text import phonemize

TINY_TOKENS = open_base("embedded:tiny").document.s1.vocabulary - 1

TINY_LIMIT = 25 * 1024 * 1024


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the embedded base that a test may damage."""
    return Path(shutil.copytree(open_base("embedded:tiny").folder, tmp_path / "base"))


def edit(folder: Path, **changes: Any) -> None:
    document = json.loads((folder / "base.json").read_text(encoding="utf-8"))
    document.update(changes)
    (folder / "base.json").write_text(json.dumps(document), encoding="utf-8")


def test_the_embedded_base_is_whole_and_small_enough_to_commit() -> None:
    base = open_base("embedded:tiny")
    present = {path.relative_to(base.folder).as_posix() for path in base.folder.rglob("*") if path.is_file()}
    assert present == {"base.json", *base.document.files}
    assert sum(base.path(name).stat().st_size for name in base.document.files) < TINY_LIMIT


def test_the_embedded_base_says_what_it_is_made_from_and_what_it_can_reach() -> None:
    document = open_base("embedded:tiny").document
    assert document.name == "tiny"
    assert {gate.metric for gate in document.required_gates()} == {"pesq", "stoi"}
    assert "own" in document.gates_note
    assert len(document.sentences["en"]) >= 3
    assert any("CC BY 4.0" in licence.licence and "LibriSpeech" in licence.attribution for licence in document.licences)
    assert set(document.graphs) == {"s1_prefill", "s1_step", "s2_decode"}


def test_a_base_is_opened_by_file_uri_as_well_and_has_the_same_digest(copy: Path) -> None:
    assert open_base(copy.as_uri()).digest == open_base("embedded:tiny").digest
    assert open_base(str(copy)).digest == open_base("embedded:tiny").digest


def test_another_digest_than_the_wanted_one_is_refused(copy: Path) -> None:
    wanted = open_base(copy.as_uri()).digest
    assert open_base(copy.as_uri(), digest=wanted).digest == wanted
    with pytest.raises(BaseRejected, match=f"but sha256:{'0' * 64} is wanted"):
        open_base(copy.as_uri(), digest=f"sha256:{'0' * 64}")


def test_a_damaged_file_is_refused_when_it_is_asked_for(copy: Path) -> None:
    path = copy / "s1.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    base = open_base(copy.as_uri())
    assert base.path("s2g.safetensors") == copy / "s2g.safetensors"
    with pytest.raises(BaseRejected, match=r"'s1\.safetensors' of base 'tiny' is damaged"):
        base.path("s1.safetensors")


def test_a_missing_file_and_an_unlisted_one_are_refused(copy: Path) -> None:
    (copy / "s1.safetensors").unlink()
    (copy / "extra.bin").write_bytes(b"x")
    base = open_base(copy.as_uri())
    with pytest.raises(BaseRejected, match="cannot be read"):
        base.path("s1.safetensors")
    with pytest.raises(BaseRejected, match=r"has no file 'extra\.bin'"):
        base.path("extra.bin")


def test_a_link_that_leads_out_of_the_folder_is_refused(copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    shutil.move(copy / "s1.safetensors", outside)
    (copy / "s1.safetensors").symlink_to(outside)
    with pytest.raises(BaseRejected, match="leads out of its folder"):
        open_base(copy.as_uri()).path("s1.safetensors")


@pytest.mark.parametrize(
    "name", ["../s1.safetensors", "/etc/passwd", "a/../../b", "C:\\x", "a//b", "", "./a", "file:x"]
)
def test_a_name_that_could_leave_the_folder_is_refused(copy: Path, name: str) -> None:
    files = json.loads((copy / "base.json").read_text(encoding="utf-8"))["files"]
    edit(copy, files={**files, name: {"sha256": "0" * 64, "size": 1}})
    with pytest.raises(BaseRejected, match="is not a plain relative file name"):
        open_base(copy.as_uri())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"schema": "voice.sovits.dev/base/v2"}, "schema", id="another schema version"),
        pytest.param({"symbolsSha256": "0" * 64}, "weights are for another table", id="another symbol table"),
        pytest.param({"gates": [{"metric": "pesq"}]}, "needs either min or max", id="a gate without a bound"),
        pytest.param({"sampling": {"topK": 0}}, "sampling.topK", id="no token to choose from"),
        pytest.param({"tokens": {"strategy": "guess"}}, "tokens: .*'encoder', 'aligned'", id="an unknown strategy"),
        pytest.param({"tokens": {"strategy": "aligned"}}, "tokens.aligned.phoneTokens: Field required", id="no phones"),
        pytest.param(
            {"tokens": {"strategy": "aligned", "phoneTokens": {"SIL": [[0]], "AA": [[]]}}},
            "phoneTokens.AA must list the tokens of each state",
            id="a state without tokens",
        ),
        pytest.param(
            {"tokens": {"strategy": "aligned", "phoneTokens": {"AA": [[1]]}}},
            "phoneTokens has no tokens of SIL",
            id="no silence",
        ),
        pytest.param(
            {"tokens": {"strategy": "aligned", "phoneTokens": {"SIL": [[TINY_TOKENS]]}}},
            f"phoneTokens.SIL must hold tokens from 0 to {TINY_TOKENS - 1}",
            id="a token beyond the codebook",
        ),
        pytest.param(
            {"finetuning": {"target": {"strategy": "smoothed"}}},
            "finetuning.target.smoothed.frames: Field required",
            id="a smoothed target without a window",
        ),
        pytest.param(
            {"finetuning": {"learningRateMultipliers": {"s2": 0}}},
            "finetuning.learningRateMultipliers.s2",
            id="a network that would not learn",
        ),
        pytest.param({"gates": [{"metric": "beauty", "min": "1"}]}, "gates.0.metric", id="an unknown metric"),
        pytest.param({"graphs": {"x": {"file": "onnx/x.onnx"}}}, "does not list: onnx/x.onnx", id="an unlisted graph"),
        pytest.param({"name": "../tiny"}, "name", id="a name that is a path"),
        pytest.param({"languages": []}, "languages", id="no language"),
        pytest.param({"version": "v5"}, "version", id="an unknown version"),
        pytest.param({"version": "v4"}, "s2 is not the configuration of a synthesizer of v4", id="another version"),
        pytest.param(
            {"s2": {"codebookSize": TINY_TOKENS, "velocity": {}}},
            "s2 is not the configuration of a synthesizer of v2",
            id="a mel's s2",
        ),
    ],
)
def test_a_wrong_base_json_is_refused_with_the_field(copy: Path, changes: dict[str, Any], message: str) -> None:
    edit(copy, **changes)
    with pytest.raises(BaseRejected, match=message):
        open_base(copy.as_uri())


def test_unknown_fields_are_ignored_and_missing_gates_are_the_defaults(copy: Path) -> None:
    edit(copy, gates=[], later={"version": 2})
    assert open_base(copy.as_uri()).document.required_gates() == DEFAULT_GATES
    assert [(gate.metric, gate.min) for gate in DEFAULT_GATES] == [("pesq", "3.5"), ("stoi", "0.85")]


def test_a_base_that_names_no_strategy_has_those_of_the_official_code(copy: Path) -> None:
    document = json.loads((copy / "base.json").read_text(encoding="utf-8"))
    del document["tokens"], document["finetuning"]
    (copy / "base.json").write_text(json.dumps(document), encoding="utf-8")
    opened = open_base(copy.as_uri()).document
    assert opened.tokens == EncoderTokens()
    assert opened.finetuning.target == FullTarget()
    assert opened.finetuning.learning_rate_multipliers == LearningRateMultipliers(s1=1, s2=1)


def test_the_tiny_base_names_its_strategies() -> None:
    document = open_base("embedded:tiny").document
    assert isinstance(document.tokens, AlignedTokens)
    assert sorted(
        token for states in document.tokens.phone_tokens.values() for state in states for token in state
    ) == list(range(TINY_TOKENS))
    assert document.finetuning.target == SmoothedTarget(frames=7)
    assert document.finetuning.learning_rate_multipliers == LearningRateMultipliers(s1=0.1, s2=25)


def test_a_base_that_decodes_a_mel_is_read_but_has_no_synthesizer_of_waveforms(copy: Path) -> None:
    edit(
        copy,
        version="v4",
        s2={"codebookSize": TINY_TOKENS, "velocity": {"width": 1024}},
        vocoder={"upsampleRates": [10, 6, 2, 2, 2]},
    )
    document = open_base(copy.as_uri()).document
    assert isinstance(document.s2, MelSynthesizerConfig)
    assert isinstance(document.vocoder, VocoderConfig)
    assert BaseDocument.model_validate_json(document.model_dump_json(by_alias=True, exclude_none=True)) == document
    with pytest.raises(BaseRejected, match="base 'tiny' is of v4, which is not for this"):
        _ = document.synthesizer
    tiny = open_base("embedded:tiny").document
    assert tiny.synthesizer.codebook_size == tiny.s1.vocabulary - 1


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("embedded:huge", "no embedded base 'huge'; use one of: tiny"),
        ("embedded:../tiny", "no embedded base"),
        ("s3://bases/v2", "fetch others first"),
        ("file:///no/such/folder", "cannot be read"),
    ],
)
def test_a_base_that_is_not_there_is_refused_with_what_is(uri: str, message: str) -> None:
    with pytest.raises(BaseRejected, match=message):
        open_base(uri)


def test_a_huge_base_json_is_not_read(copy: Path) -> None:
    with (copy / "base.json").open("ab") as file:
        file.truncate(5 * 1024 * 1024)
    with pytest.raises(BaseRejected, match="larger than"):
        open_base(copy.as_uri())


def test_the_document_survives_being_written_and_read() -> None:
    document = open_base("embedded:tiny").document
    assert BaseDocument.model_validate_json(document.model_dump_json(by_alias=True)) == document


def test_a_base_has_readings_of_its_own(copy: Path) -> None:
    edit(copy, lexicon=[{"word": "Lima", "reading": "L AY1 M AH0", "alphabet": "cmu"}])
    readings = open_base(str(copy)).document.readings
    assert phonemize("Lima", "en", lexicon=readings).phones == ("L", "AY1", "M", "AH0")
    assert not open_base("embedded:tiny").document.readings


def test_a_reading_that_nobody_can_speak_refuses_the_base(copy: Path) -> None:
    edit(copy, lexicon=[{"word": "Lima", "reading": "L QQ1", "alphabet": "cmu"}])
    with pytest.raises(BaseRejected, match="'QQ1' in the reading of 'Lima' is no ARPAbet phone"):
        open_base(str(copy))
