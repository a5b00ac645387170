"""The hashes: what changes the result changes them, what does not does not."""

from typing import Any

import pytest

from voice_operator.api.evaluation import Evaluation
from voice_operator.api.voice_model import Preparation, Training
from voice_operator.api.voice_revision import AlgorithmVersions, VoiceRevisionSpec
from voice_operator.reconcile import hashing
from voice_operator.reconcile.algorithm import versions_for
from voice_operator.reconcile.hashing import base_identity, evaluation_hash, training_hash, training_hash_of

PINNED = "sha256:" + "ab" * 32
INPUT = {"language": "en", "recordings": "sha256:a", "base": PINNED}


def the_hash(
    training: dict[str, Any] | None = None,
    algorithm: dict[str, int] | None = None,
    preparation: dict[str, Any] | None = None,
    **inputs: str,
) -> str:
    settings, versions = Training.model_validate(training or {}), AlgorithmVersions(**(algorithm or {}))
    prepared = Preparation.model_validate(preparation or {})
    return training_hash(**(INPUT | inputs), training=settings, algorithm=versions, preparation=prepared)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"language": "ja"}, id="the language"),
        pytest.param({"locale": "en-GB"}, id="how texts write dates and numbers"),
        pytest.param({"recordings": "sha256:b"}, id="the recordings"),
        pytest.param({"base": "sha256:c"}, id="the base"),
        pytest.param({"training": {"seed": 1}}, id="a setting"),
        pytest.param({"training": {"learningRate": "1e-4"}}, id="the learning rate"),
        pytest.param({"algorithm": {"training": 2}}, id="the training algorithm"),
        pytest.param({"algorithm": {"text": 2}}, id="the text-to-phone conversion"),
        pytest.param({"preparation": {"denoise": "never"}}, id="what is done about noise"),
    ],
)
def test_a_training_is_another_one_with(changed: dict[str, Any]) -> None:
    assert the_hash(**changed) != the_hash()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"algorithm": {"evaluation": 2}}, id="another way of measuring"),
        pytest.param({"training": {"learningRate": "0.0002"}}, id="another spelling of the learning rate"),
        pytest.param({"training": {"rank": 8, "epochs": 10}}, id="defaults that are written out"),
        pytest.param({"locale": ""}, id="no locale"),
        pytest.param({"preparation": {"denoise": "auto"}}, id="the default of a field that came later"),
        pytest.param({"preparation": {"maxRejected": 50}}, id="a bound that decides whether there is a result"),
    ],
)
def test_a_training_is_the_same_with(changed: dict[str, Any]) -> None:
    assert the_hash(**changed) == the_hash()


def test_the_hash_is_the_one_that_names_folders_since_its_introduction() -> None:
    """Whoever changes it trains every voice of every installation again."""
    assert the_hash() == "07c40bc9b9f19436adbe3d904089a8ca6842f5e6937f158c0bff7a20f5df499a"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(("v2Pro", "s3://a/v2Pro", PINNED), ("pro", "s3://b/v2Pro", PINNED), True, id="moved and renamed"),
        pytest.param(("v2Pro", "s3://a/v2Pro", PINNED), ("v2Pro", "s3://a/v2Pro", "sha256:c"), False, id="replaced"),
        pytest.param(("v2Pro", "s3://a/v2Pro", ""), ("v2Pro", "s3://b/v2Pro", ""), True, id="moved without a digest"),
        pytest.param(("v2Pro", "s3://a/v2Pro", ""), ("v2", "s3://a/v2Pro", ""), False, id="renamed without a digest"),
        pytest.param(("tiny", "embedded:tiny", ""), ("small", "embedded:tiny", ""), True, id="embedded and renamed"),
        pytest.param(("tiny", "embedded:tiny", ""), ("tiny", "embedded:large", ""), False, id="another embedded one"),
    ],
)
def test_a_base_is_told_by_its_content(one: tuple[str, str, str], other: tuple[str, str, str], same: bool) -> None:
    assert (base_identity(*one) == base_identity(*other)) is same


def test_every_setting_has_a_default_from_its_introduction() -> None:
    assert hashing.INTRODUCTION_DEFAULTS.keys() == {field.alias for field in Training.model_fields.values()}


class TrainingOfTheNextRelease(Training):
    """One default is another, and one setting is new."""

    epochs: int = 12
    warmup: int = 0


def test_a_new_field_and_a_changed_default_change_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hashing.INTRODUCTION_DEFAULTS, "warmup", 0)
    stored = TrainingOfTheNextRelease.model_validate(Training().document())  # the API server keeps defaults it applied
    rest: dict[str, Any] = {"algorithm": AlgorithmVersions(), "preparation": Preparation()}
    assert training_hash(**INPUT, training=stored, **rest) == the_hash()
    new = TrainingOfTheNextRelease()
    assert training_hash(**INPUT, training=new, **rest) == the_hash({"epochs": 12})


def test_a_revision_records_the_input_that_it_was_trained_from() -> None:
    spec: dict[str, Any] = {
        "voiceModel": "alice",
        "inputHash": "0" * 64,
        "workspace": "s3://voices/x",
        "language": "en",
        "dataset": {"uri": "s3://data/alice", "fingerprint": "sha256:a"},
        "base": {"name": "v2Pro", "uri": "s3://bases/v2Pro", "digest": PINNED},
        "training": {"seed": 1},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
        "artifacts": {"uri": "s3://voices/y", "digest": "sha256:" + "b" * 64},
        "evaluation": {"scores": {}},
    }
    present = versions_for("en").model_dump()
    assert training_hash_of(VoiceRevisionSpec.model_validate(spec)) == the_hash({"seed": 1}, present)
    earlier = spec | {"algorithm": {"training": 7, "text": 9, "evaluation": 1}}
    assert training_hash_of(VoiceRevisionSpec.model_validate(earlier)) == the_hash({"seed": 1}, present), "it stays"
    quiet = spec | {"dataset": spec["dataset"] | {"denoise": "never", "maxRejected": 5}}
    assert training_hash_of(VoiceRevisionSpec.model_validate(quiet)) == the_hash(
        {"seed": 1}, present, {"denoise": "never"}
    )


def an_evaluation(**wanted: Any) -> str:
    return evaluation_hash(Evaluation.model_validate(wanted))


GATES = [{"metric": "stoi", "min": "0.9"}, {"metric": "pesq", "min": "3"}]


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"texts": ["Hello."]}, id="a sentence"),
        pytest.param({"gates": []}, id="no gates instead of the base's"),
        pytest.param({"gates": GATES}, id="gates"),
    ],
)
def test_an_evaluation_is_another_one_with(wanted: dict[str, Any]) -> None:
    assert an_evaluation(**wanted) != an_evaluation()


def test_an_evaluation_is_the_same_in_another_order_of_gates_and_whatever_is_promoted() -> None:
    assert an_evaluation(gates=GATES) == an_evaluation(gates=GATES[::-1])
    assert an_evaluation(noRegression=False) == an_evaluation()


def test_another_recogniser_is_another_evaluation_and_none_is_the_one_from_before_there_were_any() -> None:
    given = [evaluation_hash(Evaluation(), (), recogniser) for recogniser in ("", "sha256:1", "sha256:2")]
    assert given[0] == an_evaluation()
    assert len(set(given)) == 3


def test_official_files_in_the_bundle_are_another_result_and_without_them_the_hash_is_as_it_was() -> None:
    plain = Evaluation()
    assert evaluation_hash(plain, official=False) == evaluation_hash(plain)
    assert evaluation_hash(plain, official=True) != evaluation_hash(plain)


def test_another_way_of_measuring_is_another_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    before = an_evaluation()
    monkeypatch.setattr(hashing, "EVALUATION", 2)
    assert an_evaluation() != before
