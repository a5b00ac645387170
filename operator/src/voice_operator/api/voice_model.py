"""VoiceModel: whose voice, where the recordings are, who consented, how to train, what must be reached."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from voice_operator.api.evaluation import Evaluation
from voice_operator.api.lexicon import MAX_ENTRIES, Reading
from voice_operator.api.schema import (
    DIGEST,
    S3_URI,
    Language,
    Locale,
    Schema,
    ShortText,
    atomic_list,
    rules,
)

Capacity = Literal["Spot", "OnDemand", "SpotThenOnDemand"]
Denoise = Literal["auto", "always", "never"]


def _duration(most: str) -> str:
    return (
        "self.matches('^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$') && self != '' "
        f"&& duration(self) >= duration('1m') && duration(self) <= duration('{most}')"
    )


_DURATION = _duration(most="240h")


class Preparation(Schema):
    """How recordings become clips to train on."""

    denoise: Denoise = Field(
        "auto",
        description=(
            "Whether DeepFilterNet removes noise. auto: from clips with a low signal-to-noise ratio, where the result "
            "is measurably better; always; never."
        ),
    )
    max_rejected: int = Field(
        20,
        ge=0,
        le=100,
        description=(
            "Percentage of unusable clips that is tolerated: they are left out, and status.recordings names them. "
            "With more, nothing is trained."
        ),
    )


class Dataset(Preparation):
    """The recordings: a folder, in one of the shapes of docs/recordings.md."""

    uri: str = Field(
        max_length=1024,
        description=(
            "Folder in the object store with the recordings and their texts: metadata.csv (id|text) and wavs/, or "
            "another known shape."
        ),
        json_schema_extra=rules(
            (
                f"self.matches('{S3_URI}')",
                "spec.dataset.uri must look like s3://bucket/folder (letters, digits and ._=+@,- in the folder)",
            ),
        ),
    )
    digest: str = Field(
        "",
        max_length=71,
        description=(
            "Pins the recordings: SHA-256 over the SHA-256 of each file, the datasetDigest of the voice's "
            "report; empty: the recordings as they are when the operator lists them."
        ),
        json_schema_extra=rules(
            (
                f"self == '' || self.matches('{DIGEST}')",
                "spec.dataset.digest must be sha256: and 64 hex digits, or empty",
            )
        ),
    )


class Consent(Schema):
    """The speaker's permission. Without a valid one nothing is trained and nothing is served."""

    holder: str = Field(
        max_length=256,
        description="The person whose voice it is.",
        json_schema_extra=rules(
            ("self.matches('[^ ]')", "spec.consent.holder must name the person whose voice this is")
        ),
    )
    statement: str = Field(
        max_length=4096,
        description="What the speaker agreed to, in words.",
        json_schema_extra=rules(("self.matches('[^ ]')", "spec.consent.statement must say what the speaker agreed to")),
    )
    evidence: str = Field(
        "",
        max_length=1024,
        description="Where the signed form or recording of the permission lies.",
        json_schema_extra=rules(
            (
                "self == '' || self.matches('^(s3|https)://[^ ]+$')",
                "spec.consent.evidence must be an s3:// or https:// address, or empty",
            ),
        ),
    )
    evidence_digest: str = Field(
        "",
        max_length=71,
        description=(
            "SHA-256 of the evidence, which must then be an s3:// object: nothing is trained before the operator has "
            "found it there with this digest. Empty: the address is only recorded."
        ),
        json_schema_extra=rules(
            (
                f"self == '' || self.matches('{DIGEST}')",
                "spec.consent.evidenceDigest must be sha256: and 64 hex digits, or empty",
            )
        ),
    )
    expires: str | None = Field(
        None,
        max_length=10,
        description="Last day on which the permission holds (UTC), as 2027-11-01; absent: until revoked.",
        json_schema_extra=rules(
            (
                "self.matches('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$')",
                "spec.consent.expires must be a date such as 2027-11-01",
            ),
        ),
    )
    revoked: bool = Field(
        False,
        description=(
            "True withdraws the permission for ever: training stops and the voice is unloaded. A new permission is a "
            "new VoiceModel with its own evidence."
        ),
    )

    erase: bool = Field(
        False,
        description=(
            "True, together with revoked: everything that was made of this person's recordings is erased at once, the "
            "published bundles too. The VoiceModel stays and says so; the recordings themselves are not touched."
        ),
    )

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!(has(oldSelf.revoked) && oldSelf.revoked) || (has(self.revoked) && self.revoked)",
                (
                    "spec.consent.revoked never goes back to false: a new permission is a new VoiceModel, "
                    "with spec.consent.evidence of its own"
                ),
            ),
            (
                "!(has(self.erase) && self.erase) || (has(self.revoked) && self.revoked)",
                "spec.consent.erase needs spec.consent.revoked: true; what is agreed to is not erased",
            ),
            (
                "!(has(oldSelf.erase) && oldSelf.erase) || (has(self.erase) && self.erase)",
                "spec.consent.erase never goes back to false: what was erased does not return",
            ),
            (
                "!has(self.evidenceDigest) || self.evidenceDigest == '' || self.evidence.startsWith('s3://')",
                "spec.consent.evidenceDigest needs spec.consent.evidence to be an s3:// object",
            ),
            (
                "self.holder == oldSelf.holder",
                (
                    "spec.consent.holder never changes: another person's voice is another VoiceModel; delete this "
                    "one, or make one beside it"
                ),
            ),
        )
    )


class Source(Schema):
    """Which commit asked for this voice; filled in by a pipeline, copied to the bundle."""

    repository: str = Field("", max_length=1024, description="Address of the repository.")
    commit: str = Field(
        "",
        max_length=64,
        description="Commit that this spec comes from.",
        json_schema_extra=rules(
            (
                "self == '' || self.matches('^[0-9a-f]{4,64}$')",
                "spec.source.commit must be 4 to 64 hex digits, or empty",
            )
        ),
    )
    author: ShortText = Field("", description="Who wrote that commit.")


def _learning_rate(name: str, *, optional: bool) -> dict[str, Any]:
    rule = (
        "self.matches('^[0-9]{1,9}([.][0-9]{1,12})?([eE]-?[0-9]{1,2})?$') && double(self) > 0.0 && double(self) < 1.0"
    )
    return rules(
        (
            f"self == '' || ({rule})" if optional else rule,
            f'spec.training.{name} must be a decimal string between 0 and 1, such as "2e-4"'
            + (", or empty" if optional else ""),
        )
    )


class Training(Schema):
    """How to fine-tune the base."""

    method: Literal["LoRA"] = Field("LoRA", description="Low-rank adapters on the base's layers.")
    rank: int = Field(8, ge=1, le=128, description="Rank of the adapters: higher fits closer and costs more memory.")
    targets: Annotated[
        tuple[Literal["attention"], ...], Field(min_length=1, max_length=4, json_schema_extra=atomic_list())
    ] = Field(("attention",), description="Which layers get adapters.")
    epochs: int = Field(10, ge=1, le=1000, description="Passes over the recordings.")
    batch_size: int = Field(4, ge=1, le=256, description="Clips per optimiser step.")
    learning_rate: str = Field(
        "2e-4",
        max_length=20,
        description="Peak learning rate, as a decimal string.",
        json_schema_extra=_learning_rate("learningRate", optional=False),
    )
    learning_rate_s1: str = Field(
        "",
        max_length=20,
        description=(
            "Learning rate of the adapters in the text-to-semantic network, as a decimal string; empty: learningRate "
            "times the base's multiplier."
        ),
        json_schema_extra=_learning_rate("learningRateS1", optional=True),
    )
    learning_rate_s2: str = Field(
        "",
        max_length=20,
        description="The same of the synthesizer.",
        json_schema_extra=_learning_rate("learningRateS2", optional=True),
    )
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        description=(
            "Ends the training after so many epochs without a lower loss on a tenth of the clips, which is set aside; "
            "the best epoch is kept. 0: all epochs, and nothing is set aside."
        ),
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="What the networks compute in. auto: bf16 on GPUs that have it, fp16 on others, fp32 without one.",
    )
    seed: int = Field(1234, ge=0, le=2147483647, description="Same seed and same input: same voice.")


class Review(Schema):
    """Whether people must approve a trained voice before it is served."""

    required: bool = Field(
        False,
        description=(
            "True holds a revision back until people with the verb approve on it have approved it; revisions that "
            "were made meanwhile need their approvals for ever."
        ),
    )
    approvals: int = Field(1, ge=1, le=10, description="How many different people must approve.")
    separation: bool = Field(
        True,
        description=(
            "True keeps who changed the spec from approving the result; the annotation voice.sovits.dev/requested-by "
            "must then name who changes it."
        ),
    )
    timeout: str = Field(
        "",
        max_length=16,
        description="How long after a revision was made its approvals may come, as 72h; empty: without end.",
        json_schema_extra=rules(
            (
                f"self == '' || ({_duration(most='8760h')})",
                "spec.review.timeout must be a duration between 1m and 8760h, such as 72h, or empty",
            ),
        ),
    )


REPOSITORY = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$"


class Hub(Schema):
    """A copy of what is served on the Hugging Face Hub; servers never read it."""

    repository: str = Field(
        "",
        max_length=193,
        description=(
            "OWNER/NAME of a repository that holds exactly the bundle that is served, and a model card; empty: no "
            "copy. The installation must allow it (chart value hub.tokenSecret)."
        ),
        json_schema_extra=rules(
            (
                f"self == '' || (self.matches('{REPOSITORY}') && !self.contains('..') && !self.contains('--'))",
                "spec.publish.hub.repository must be OWNER/NAME, such as studio/alice, or empty",
            ),
        ),
    )
    public: bool = Field(
        False, description="True makes a repository that is not there yet public; one that is there stays as it is."
    )


class Publish(Schema):
    """What is published of a trained voice besides what servers need."""

    hub: Hub = Field(default_factory=Hub)

    official: bool = Field(
        False,
        description=(
            "True adds the voice as official/NAME.ckpt and .pth to the bundle, the adapter merged into the base's "
            "weights, for the official program: hundreds of megabytes for a base of official size. Of revisions that "
            "are published from then on; kubectl voice export --official writes them of any."
        ),
    )


class Serving(Schema):
    """Where the finished voice is served."""

    server: str = Field(
        "default",
        max_length=40,
        description="VoiceServer that serves it: searched in the voice's namespace, then in the operator's.",
        json_schema_extra=rules(
            (
                "self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "spec.serving.server must be the name of a VoiceServer, such as default",
            ),
        ),
    )
    pin: str = Field(
        "",
        max_length=63,
        description="VoiceRevision to serve (a rollback); empty: the newest one. While set, nothing is trained.",
        json_schema_extra=rules(
            (
                "self == '' || self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "spec.serving.pin must be the name of a VoiceRevision, or empty",
            ),
        ),
    )


class Compute(Schema):
    """Compute of the training Jobs."""

    gpus: int = Field(1, ge=0, le=8, description="GPUs of the train and evaluate Jobs; 0 trains on CPU.")
    capacity: Capacity = Field(
        "SpotThenOnDemand",
        description=(
            "Which nodes the GPU Jobs may use. SpotThenOnDemand: spot nodes where there are some; on-demand nodes "
            "alone when no node came for a while (chart value stages.spotWait), or when half of retries.preemption "
            "were used."
        ),
    )
    gradient_checkpointing: Literal["auto", "always", "never"] = Field(
        "auto",
        description=(
            "Whether activations are computed twice instead of kept: less GPU memory for more time, and the same "
            "result. auto: after an attempt ran out of GPU memory."
        ),
    )
    queue_name: str = Field(
        "",
        max_length=63,
        description=(
            "Kueue LocalQueue of the Jobs; empty: none, or the one called default where the namespace has it. A change "
            "reaches what waits."
        ),
        json_schema_extra=rules(
            (
                "self == '' || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "spec.compute.queueName must be the name of a LocalQueue, or empty",
            )
        ),
    )
    priority_class: str = Field(
        "",
        max_length=63,
        description="Kueue WorkloadPriorityClass of the Jobs; empty: none. A change reaches what waits.",
        json_schema_extra=rules(
            (
                "self == '' || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "spec.compute.priorityClass must be the name of a WorkloadPriorityClass, or empty",
            )
        ),
    )
    timeout: str = Field(
        "12h",
        max_length=16,
        description="How long one stage Job may run, from the start of its pod, as 12h, 90m or 1h30m.",
        json_schema_extra=rules(
            (
                _DURATION,
                "spec.compute.timeout must be a duration between 1m and 240h, such as 12h, 90m or 1h30m",
            ),
        ),
    )
    scheduling_timeout: str = Field(
        "",
        max_length=16,
        description=(
            "How long a pod may wait for a node before its stage fails, as 1h or 90m; empty: without end. Waiting in "
            "a Kueue queue does not count."
        ),
        json_schema_extra=rules(
            (
                f"self == '' || ({_DURATION})",
                "spec.compute.schedulingTimeout must be a duration between 1m and 240h, such as 2h or 90m, or empty",
            ),
        ),
    )


class Retries(Schema):
    """How often a stage is tried again, by what went wrong."""

    out_of_memory: int = Field(
        2,
        ge=0,
        le=8,
        description=(
            "Attempts with half the batch after the GPU's memory ran out, and as many with half again the memory after "
            "the container's did."
        ),
    )
    transient: int = Field(
        2, ge=0, le=20, description="Attempts after a network fault, an eviction or an unknown crash."
    )
    preemption: int = Field(20, ge=0, le=100, description="Attempts after the node was taken away.")


class Retention(Schema):
    """How long what was trained is kept."""

    unused_days: int = Field(
        90,
        ge=1,
        le=3650,
        description=(
            "Days without a request after which the voice is unloaded and what was trained is erased, with an alert a "
            "week before. The VoiceModel stays, and trains again when it is edited or a retry is asked for. A pin and "
            "a legal hold forbid it."
        ),
    )
    keep_revisions: int = Field(
        5,
        ge=2,
        le=100,
        description=(
            "Newest revisions that are kept; older ones are deleted with their artifacts. What is served, pinned or "
            "waits for approval, the rollback target, and what is newer than the served one always stay, and count."
        ),
    )
    legal_hold: bool = Field(
        False, description="True forbids every deletion of this voice's files, also after the VoiceModel is deleted."
    )


class VoiceModelSpec(Schema):
    """One speaker's voice: where the recordings are, who consented, how to train, and what it must reach."""

    language: Language = Field(description="Language of the recordings.")
    locale: Locale = Field(
        "",
        description=(
            "How texts write dates and numbers, as en-GB (12/3/2024 is in March); a request may say otherwise. "
            "Empty: as the language has them. A change trains again."
        ),
    )
    dataset: Dataset
    consent: Consent
    source: Source = Field(default_factory=Source)
    base: str | None = Field(
        None,
        max_length=40,
        description=(
            "Base model, by its name in the operator's configuration (chart value bases). Absent: the installation's "
            "default base (chart value defaultBase) when the voice is first seen; status.base names it, and a later "
            "change of the default trains nothing again."
        ),
        json_schema_extra=rules(
            (
                "self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
                "spec.base must be the name of a base, such as v2Pro",
            )
        ),
    )
    training: Training = Field(default_factory=Training)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    publish: Publish = Field(default_factory=Publish)
    review: Review = Field(default_factory=Review)
    serving: Serving = Field(default_factory=Serving)
    lexicon: Annotated[tuple[Reading, ...], Field(max_length=MAX_ENTRIES, json_schema_extra=atomic_list())] = Field(
        (),
        description=(
            "Readings of words in what the voice speaks; they go before the base's, and a request's before them. "
            "Servers take a change at once, and nothing is trained again."
        ),
    )
    compute: Compute = Field(default_factory=Compute)
    retries: Retries = Field(default_factory=Retries)
    retention: Retention = Field(default_factory=Retention)
    suspend: bool = Field(False, description="True pauses the Jobs; what is served stays served.")
