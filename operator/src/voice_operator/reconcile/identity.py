"""Which records belong to the present input: the input hash that names a training, and the evaluation of an output."""

from collections.abc import Iterable

from voice_operator.api.voice_status import ObservedDataset, VoiceModelStatus
from voice_operator.reconcile.hashing import evaluation_hash
from voice_operator.reconcile.observed import ObservedJob, ObservedRevision, StageOutput, Voice


def resolve(
    training: str, *, status: VoiceModelStatus, revisions: Iterable[ObservedRevision], dataset: ObservedDataset
) -> str:
    """Return the input hash that names folders, Jobs and the revision of a training: one in use, else ``training``.

    Input hashes used to hold addresses and tags too. What such a hash names keeps its name, or it would be trained
    again.
    """
    kept = [revision for revision in revisions if not revision.deleting]
    same = [revision for revision in kept if revision.training_hash == training]
    if same:
        return min(same, key=lambda revision: _precedence(revision, status)).input_hash
    if status.input_hash is None:
        return training
    if status.training_hash is None:  # from before it was recorded
        of_another_input = any(revision.input_hash == status.input_hash for revision in kept)
        adopted = not of_another_input and _is_about(status, dataset)
    else:
        adopted = status.training_hash == training
    return status.input_hash if adopted else training


def evaluation_hash_of(voice: Voice) -> str:
    """Return the hash of gates, sentences and recogniser that a voice is evaluated with, and of what is published."""
    return evaluation_hash(
        voice.spec.evaluation, voice.minimum_gates, voice.recogniser, official=voice.spec.publish.official
    )


def evaluation_changed(voice: Voice) -> bool:
    """Return whether the evaluate record is for other gates or sentences than the present ones."""
    status = voice.status
    if status.evaluation_hash is None:  # from before it was recorded: the generation is all there is to compare
        return status.dataset is not None and status.dataset.generation != voice.generation
    return status.evaluation_hash != evaluation_hash_of(voice)


def recorded_evaluation(voice: Voice, *, evaluated: bool) -> str | None:
    """Return what the new status records as evaluationHash, while the present input is not published.

    None while a stage may be running whose manifest will not name its evaluation.
    """
    status = voice.status
    unnamed = status.input_hash is not None and status.evaluation_hash is None and not evaluation_changed(voice)
    return None if unnamed and not evaluated else evaluation_hash_of(voice)


def has_present_evaluation(job: ObservedJob, voice: Voice) -> bool:
    """Return whether a Job was given the present gates and sentences, as far as it names them."""
    return job.evaluation_hash in {"", evaluation_hash_of(voice)}


def is_present(output: StageOutput, voice: Voice) -> bool:
    """Return whether an output of evaluate or publish is for the present gates and sentences."""
    if output.evaluation_hash:
        return output.evaluation_hash == evaluation_hash_of(voice)
    # Written before manifests named it: for what the evaluate record is for, unless the stage was started again.
    return not evaluation_changed(voice) and (voice.status.evaluation_hash is None or _is_evaluated(voice.status))


def _precedence(revision: ObservedRevision, status: VoiceModelStatus) -> tuple[bool, bool, bool, str]:
    """Order the revisions of one input, of which old hashes may have made several: recorded, served, then by name."""
    return (
        revision.input_hash != status.input_hash,
        revision.name != status.active_revision,
        revision.state != "Active",
        revision.name,
    )


def _is_about(status: VoiceModelStatus, dataset: ObservedDataset) -> bool:
    """Return whether a status was written for these recordings and this generation of the spec."""
    recorded = status.dataset
    if recorded is None:
        return False
    return (recorded.identity, recorded.generation) == (dataset.identity, dataset.generation)


def _is_evaluated(status: VoiceModelStatus) -> bool:
    return any(stage.name == "evaluate" and stage.state == "Succeeded" for stage in status.stages)
