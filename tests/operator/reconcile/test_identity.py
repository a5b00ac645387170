"""Which records belong to the present input, as tables: what exists on the left, the input hash on the right."""

from dataclasses import replace
from typing import Any

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import ObservedDataset, StageStatus, VoiceModelStatus
from voice_operator.reconcile.hashing import evaluation_hash
from voice_operator.reconcile.identity import evaluation_changed, is_present, recorded_evaluation, resolve
from voice_operator.reconcile.observed import ObservedRevision, StageOutput, Voice

TRAINING, OLD, OLDER = "a" * 64, "1" * 64, "2" * 64
DATASET = ObservedDataset(uri="s3://voices/alice", fingerprint="sha256:" + "b" * 64, generation=3)
OTHER_DATASET = DATASET.model_copy(update={"fingerprint": "sha256:" + "c" * 64})


def a_revision(input_hash: str, training_hash: str = TRAINING, **about: Any) -> ObservedRevision:
    name = f"alice-{input_hash[:8]}"
    return ObservedRevision(name, input_hash, "tiny", "s3://x", "sha256:x", training_hash=training_hash, **about)


def before(**changes: Any) -> VoiceModelStatus:
    """A status from before the training hash was recorded."""
    return VoiceModelStatus(**({"input_hash": OLD, "dataset": DATASET, "observed_generation": 3} | changes))


@pytest.mark.parametrize(
    ("status", "revisions", "expected"),
    [
        pytest.param(VoiceModelStatus(), (), TRAINING, id="a new voice is named by its training hash"),
        pytest.param(before(), (a_revision(OLD),), OLD, id="what is published keeps its name"),
        pytest.param(VoiceModelStatus(), (a_revision(OLD),), OLD, id="also when the status was lost"),
        pytest.param(before(), (), OLD, id="so does what is being trained"),
        pytest.param(
            before(dataset=DATASET.model_copy(update={"generation": 2})), (), TRAINING, id="unless the spec has changed"
        ),
        pytest.param(before(dataset=OTHER_DATASET), (), TRAINING, id="or the recordings"),
        pytest.param(
            before(observed_generation=3, dataset=None), (), TRAINING, id="or nothing says what they were at that time"
        ),
        pytest.param(
            before(), (a_revision(OLD, "other"),), TRAINING, id="or the revision says that the input was another one"
        ),
        pytest.param(before(training_hash=TRAINING), (), OLD, id="a name once adopted is kept"),
        pytest.param(
            before(training_hash=TRAINING, dataset=OTHER_DATASET), (), OLD, id="at every generation of the spec"
        ),
        pytest.param(before(training_hash="other"), (), TRAINING, id="until the input changes"),
        pytest.param(
            before(training_hash="other"),
            (a_revision(OLDER),),
            OLDER,
            id="back to an earlier input: nothing is trained",
        ),
        pytest.param(
            before(active_revision="alice-22222222"),
            (a_revision(OLDER, state="Active"), a_revision(OLD)),
            OLD,
            id="of two of the same input the recorded one",
        ),
        pytest.param(
            before(input_hash="3" * 64, active_revision="alice-22222222"),
            (a_revision(OLD), a_revision(OLDER)),
            OLDER,
            id="else the served one",
        ),
        pytest.param(
            VoiceModelStatus(),
            (a_revision(OLD), a_revision(OLDER, state="Active")),
            OLDER,
            id="which says so itself where the status was lost",
        ),
        pytest.param(VoiceModelStatus(), (a_revision(OLDER), a_revision(OLD)), OLD, id="else the first by name"),
        pytest.param(
            VoiceModelStatus(),
            (a_revision(OLD, deleting=True),),
            TRAINING,
            id="one on its way out names nothing",
        ),
        pytest.param(
            before(training_hash=TRAINING),
            (a_revision(OLD, deleting=True),),
            OLD,
            id="but is waited for where the status names it",
        ),
    ],
)
def test_the_input_hash(status: VoiceModelStatus, revisions: tuple[ObservedRevision, ...], expected: str) -> None:
    assert resolve(TRAINING, status=status, revisions=revisions, dataset=DATASET) == expected


def test_a_fingerprint_under_its_former_name_is_the_same() -> None:
    former = ObservedDataset(uri=DATASET.uri, digest=DATASET.fingerprint, generation=3)
    assert resolve(TRAINING, status=before(dataset=former), revisions=(), dataset=DATASET) == OLD


def a_voice(status: VoiceModelStatus, generation: int = 3, **evaluation: Any) -> Voice:
    spec = VoiceModelSpec.model_validate(
        {
            "language": "en",
            "dataset": {"uri": "s3://voices/alice"},
            "consent": {"holder": "Alice A.", "statement": "I agree."},
            "evaluation": evaluation,
        }
    )
    return Voice("studio", "alice", "uid", generation, spec, status)


PRESENT = evaluation_hash(a_voice(VoiceModelStatus()).spec.evaluation)
EVALUATED = (StageStatus(name="evaluate", state="Succeeded", attempt=1),)
STARTED_AGAIN = (StageStatus(name="evaluate", state="Pending", attempt=1, counted=1),)
OUTPUT = StageOutput("2026-11-23T06:00:00Z", "2026-11-23T06:01:00Z")


@pytest.mark.parametrize(
    ("output", "status", "generation", "present"),
    [
        pytest.param(PRESENT, before(evaluation_hash=PRESENT), 3, True, id="named by its manifest"),
        pytest.param(PRESENT, before(), 4, True, id="whatever the status says"),
        pytest.param("other", before(evaluation_hash=PRESENT, stages=EVALUATED), 3, False, id="named as another"),
        pytest.param("", before(stages=EVALUATED), 3, True, id="from before manifests named it"),
        pytest.param("", before(), 3, True, id="also where that Job is still running"),
        pytest.param("", before(stages=EVALUATED), 4, False, id="unless the spec has changed since"),
        pytest.param("", before(evaluation_hash=PRESENT, stages=EVALUATED), 4, True, id="at every later generation"),
        pytest.param("", before(evaluation_hash="other", stages=EVALUATED), 3, False, id="until gates change"),
        pytest.param("", before(evaluation_hash=PRESENT, stages=STARTED_AGAIN), 3, False, id="and after that never"),
    ],
)
def test_an_output_is_for_the_present_gates(
    output: str, status: VoiceModelStatus, generation: int, present: bool
) -> None:
    assert is_present(replace(OUTPUT, evaluation_hash=output), a_voice(status, generation)) is present


@pytest.mark.parametrize(
    ("status", "generation", "evaluated", "recorded"),
    [
        pytest.param(VoiceModelStatus(), 1, False, PRESENT, id="a new voice"),
        pytest.param(before(), 3, False, None, id="a stage whose manifest will not name it"),
        pytest.param(before(), 3, True, PRESENT, id="that stage when it is done"),
        pytest.param(before(), 4, False, PRESENT, id="that stage when the spec has changed: it starts again"),
        pytest.param(before(evaluation_hash="other"), 3, False, PRESENT, id="other gates"),
    ],
)
def test_the_status_records_what_the_evaluate_stage_is_for(
    status: VoiceModelStatus, generation: int, evaluated: bool, recorded: str | None
) -> None:
    assert recorded_evaluation(a_voice(status, generation), evaluated=evaluated) == recorded


def test_gates_that_change_are_noticed() -> None:
    status = before(evaluation_hash=PRESENT)
    assert not evaluation_changed(a_voice(status, generation=9))
    assert evaluation_changed(a_voice(status, texts=["Hello."]))
