"""`voice-trainer train`: options that are asked for, a voice that servers find, and nothing done twice."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voice_inference.voices.desired import parse_desired
from voice_inference.voices.sources import FileSource
from voice_trainer.job.document import Training
from voice_trainer.local.registry import Registry

Failure = Callable[[], dict[str, Any]]
Train = Callable[..., int]


def test_all_that_is_missing_is_asked_for_at_once(train: Train, failure: Failure, tmp_path: Path) -> None:
    assert train(tmp_path, voice="", holder="", statement="", out="") == 64
    said = failure()
    assert said["reason"] == "OptionMissing"
    assert all(f"--{name} is missing: " in said["message"] for name in ("out", "voice", "holder", "statement"))
    assert "--language" not in said["message"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"voice": "Alice A."}, "--voice: String should match pattern"),
        ({"language": "fr"}, "--language is 'fr'; use one of en, ja, ko, yue, zh"),
        ({"rank": "500"}, "--rank: Input should be less than or equal to 128 (found 500)"),
        ({"batch_size": "0"}, "--batch-size: Input should be greater than or equal to 1 (found 0)"),
        ({"learning_rate": "fast"}, "--learning-rate: Input should be a valid number"),
        ({"expires": "tomorrow"}, "--expires: Input should be a valid date"),
        ({"text": "x" * 1001}, "--text: String should have at most 1000 characters"),
    ],
)
def test_a_value_that_cannot_be_is_told_by_its_flag(
    train: Train, failure: Failure, tmp_path: Path, changed: dict[str, str], sentence: str
) -> None:
    assert train(tmp_path, **changed) == 64
    assert sentence in failure()["message"]
    assert not (tmp_path / "a registry").exists()


@pytest.mark.parametrize(("name", "state"), [("nowhere", "does not exist"), ("file", "is a file")])
def test_recordings_that_are_no_folder_are_named(
    train: Train, failure: Failure, tmp_path: Path, name: str, state: str
) -> None:
    (tmp_path / "file").write_text("")
    assert train(tmp_path / name) == 64
    assert f"{tmp_path / name} {state}; name a folder with recordings" in failure()["message"]


def test_a_base_that_is_none_is_named(train: Train, failure: Failure, tmp_path: Path) -> None:
    assert train(tmp_path, base=str(tmp_path / "base")) == 78
    assert "there is no base at" in failure()["message"]
    assert train(tmp_path, base="embedded:huge") == 78
    assert "there is no embedded base 'huge'; use one of: tiny" in failure()["message"]


def test_a_consent_that_has_ended_trains_nothing(
    train: Train, failure: Failure, registry: Path, tmp_path: Path
) -> None:
    assert train(tmp_path, expires="2020-01-01") == 78
    assert failure()["reason"] == "ConsentExpired"
    assert not (registry / "voices.json").exists()


def test_a_voice_that_is_being_trained_is_not_trained_beside(
    train: Train, failure: Failure, registry: Path, tmp_path: Path
) -> None:
    with Registry(registry).training("local", "alice"):
        assert train(tmp_path) == 75
    assert failure()["reason"] == "RegistryBusy"


def test_a_registry_that_cannot_be_written_is_told(
    train: Train, failure: Failure, registry: Path, tmp_path: Path
) -> None:
    registry.write_text("a file")
    assert train(tmp_path) == 64
    assert f"{registry}/local/alice cannot be written" in failure()["message"]


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "voice.sovits.dev/desired-voices/v2"}'])
def test_a_list_that_is_none_is_never_overwritten(registry: Path, content: str) -> None:
    registry.mkdir()
    (registry / "voices.json").write_text(content)
    with pytest.raises(Exception, match=r"voices\.json is no list of voices: .*; move it away"):
        Registry(registry).publish({"id": "local/alice"})
    assert (registry / "voices.json").read_text() == content


def test_a_voice_replaces_its_own_entry_and_no_other(registry: Path) -> None:
    opened = Registry(registry)
    for revision in ("one", "one", "two"):
        for name in ("alice", "bob"):
            opened.publish({"id": f"local/{name}", "revision": revision})
    document = json.loads((registry / "voices.json").read_bytes())
    assert [(voice["id"], voice["revision"]) for voice in document["voices"]] == [
        ("local/alice", "two"),
        ("local/bob", "two"),
    ]
    assert document["generation"] == 4, "what was listed already is no change"


def test_the_revision_that_was_listed_before_may_be_asked_for_where_it_has_the_same_base(registry: Path) -> None:
    opened = Registry(registry)
    base, other = ({"name": name, "uri": f"embedded:{name}", "digest": ""} for name in ("tiny", "other"))
    one, two, three = (
        {"id": "local/alice", "revision": name, "uri": f"file:///{name}", "digest": "sha256:1", "base": of}
        for name, of in (("one", base), ("two", base), ("three", other))
    )
    before_two = {name: one[name] for name in ("revision", "uri", "digest", "base")}
    for entry, before in ((one, None), (two, before_two), (two | {"expires": "2027-11-01"}, before_two), (three, None)):
        opened.publish(entry)
        assert opened.listed()["local/alice"].get("previous") == before


def test_the_options_defaults_are_those_of_a_job() -> None:
    assert Training.model_validate({"learningRate": "2e-4"}) == Training()


@pytest.mark.slow
def test_recordings_become_a_voice_that_a_server_finds_and_nothing_is_done_twice(
    train: Train, registry: Path, spoken_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(spoken_dataset, "--json", "--no-gates", text="Good morning.", expires="2999-01-01") == 0
    first = json.loads(capsys.readouterr().out)
    assert set(first["seconds"]) == {"prepare", "features", "train", "evaluate", "publish"}
    assert set(first["scores"]) >= {"pesq", "stoi", "wer", "speakerSimilarity"}
    assert Path(first["report"]).is_file()

    found = parse_desired((registry / "voices.json").read_bytes(), source="the registry")
    (voice,) = found.voices
    assert found.rejected == ()
    assert (voice.id, voice.revision, voice.digest) == ("local/alice", first["revision"], first["digest"])
    assert str(voice.expires) == "2999-01-01"
    assert FileSource(registry / "voices.json").latest().voices == found.voices

    copied = shutil.copytree(spoken_dataset, tmp_path / "the same recordings elsewhere", copy_function=shutil.copyfile)
    assert train(copied, "--json", "--no-gates", text="Good morning.", expires="2999-01-01") == 0
    second = json.loads(capsys.readouterr().out)
    assert second["seconds"] == {}
    assert second["digest"] == first["digest"]

    assert json.loads((registry / "voices.json").read_bytes())["generation"] == 1


@pytest.mark.slow
def test_a_voice_that_fails_its_gates_is_not_listed_and_the_way_out_is_named(
    train: Train, registry: Path, spoken_dataset: Path, strict_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(spoken_dataset, base=str(strict_base)) == 1
    said = capsys.readouterr().out
    assert "not published: stoi is " in said
    assert "wanted: min 0.99; --no-gates publishes whatever the scores are" in said
    assert not (registry / "voices.json").exists()
