"""Conditions in the shape that kubectl wait, kstatus and Argo CD understand."""

from typing import Annotated, Literal

from pydantic import Field

from voice_operator.api.schema import Message, Schema, Time, map_list

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(Schema):
    """One aspect of an object's state."""

    type: str = Field(max_length=63, description="What this is about, in CamelCase.")
    status: ConditionStatus
    reason: str = Field(max_length=128, description="Why, in CamelCase; for programs.")
    message: Message = Field("", description="Why, as a sentence; for people.")
    observed_generation: int = Field(0, ge=0, description="The metadata.generation that this was derived from.")
    last_transition_time: Time


Conditions = Annotated[tuple[Condition, ...], Field(max_length=20, json_schema_extra=map_list("type"))]
