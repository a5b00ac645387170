"""What is measured of a voice, and what must be reached before it is published."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from voice_operator.api.schema import DECIMAL, Decimal, Language, Schema, atomic_list, map_list, rules

Metric = Literal[
    "pesq",
    "stoi",
    "speakerSimilarity",
    "cer",
    "wer",
    "dnsmos",
    "durationRatio",
    "noEndTokenRate",
    "repetitionRate",
    "longestPause",
]
LESS_IS_BETTER: tuple[Metric, ...] = ("cer", "wer", "noEndTokenRate", "repetitionRate", "longestPause")
MORE_IS_BETTER: tuple[Metric, ...] = ("pesq", "stoi", "speakerSimilarity", "dnsmos")
BOTH_BOUNDS: Metric = "durationRatio"  # 1 is best
NEED_RECOGNISER: tuple[Metric, ...] = ("cer", "wer")
RECOGNISED: tuple[Language, ...] = ("en",)  # languages that the trainer has a recogniser of by itself


class Gate(Schema):
    """One score that the trained voice must reach before it is published."""

    metric: Metric = Field(
        description="Which score; docs/evaluation.md tells what each means. cer and wer need a recogniser.",
    )
    min: Decimal | None = Field(
        None,
        description="The score must be at least this, as a decimal string.",
        json_schema_extra=rules((f"self.matches('{DECIMAL}')", 'min of a gate must be a decimal string such as "3.5"')),
    )
    max: Decimal | None = Field(
        None,
        description="The score must be at most this, as a decimal string.",
        json_schema_extra=rules((f"self.matches('{DECIMAL}')", 'max of a gate must be a decimal string such as "0.1"')),
    )

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"self.metric == '{BOTH_BOUNDS}' ? has(self.min) || has(self.max) : has(self.min) != has(self.max)",
                f"each gate of spec.evaluation.gates must have either min or max; only {BOTH_BOUNDS} may have both",
            ),
            (
                f"!(self.metric in {list(LESS_IS_BETTER)}) || !has(self.min)",
                (
                    f"spec.evaluation.gates: a gate on {', '.join(LESS_IS_BETTER[:-1])} or {LESS_IS_BETTER[-1]} takes "
                    "max, as less is better"
                ),
            ),
            (
                "!(self.metric in ['speakerSimilarity', 'dnsmos']) || !has(self.max)",
                "spec.evaluation.gates: a gate on speakerSimilarity or dnsmos takes min, as more is better",
            ),
        )
    )


Sentence = Annotated[str, Field(min_length=1, max_length=500)]


class Evaluation(Schema):
    """Gates and sentences of the evaluation."""

    texts: Annotated[tuple[Sentence, ...], Field(max_length=50, json_schema_extra=atomic_list())] = Field(
        (), description="Extra sentences to synthesise for the report; empty: the base's own for the language."
    )
    gates: Annotated[tuple[Gate, ...], Field(max_length=10, json_schema_extra=map_list("metric"))] | None = Field(
        None,
        description=(
            "Scores that must be reached. Absent: the gates that the base names, else PESQ >= 3.5 and STOI >= 0.85; "
            "an empty list: none."
        ),
    )
    no_regression: bool = Field(
        True,
        description=(
            "A new revision is served only if none of its scores is worse than the active revision's by more than "
            "their 95 % intervals; false: whenever it passes its gates."
        ),
    )
