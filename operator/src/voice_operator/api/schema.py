"""Building blocks of the resource types: a frozen camelCase model, CEL rules and the strings that recur."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from voice_store.printable import printable

GROUP = "voice.sovits.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

MAX_NAME = 40  # <name>-<hash8>-evaluate-<attempt> has to fit the 63 characters of a Job's name

Language = Literal["zh", "en", "ja", "ko", "yue"]

# How texts write dates and numbers; tests/contract holds them against `sovits_core.text.locales`.
Locale = Literal[
    "", "cs-CZ", "da-DK", "de-AT", "de-CH", "de-DE", "en-AU", "en-CA", "en-GB", "en-IE", "en-IN", "en-NZ", "en-SG",
    "en-US", "en-ZA", "es-ES", "es-MX", "fi-FI", "fr-CA", "fr-FR", "it-IT", "ja-JP", "ko-KR", "nb-NO", "nl-NL", "pl-PL",
    "pt-BR", "pt-PT", "ru-RU", "sv-SE", "uk-UA", "zh-CN", "zh-HK", "zh-SG", "zh-TW",
]  # fmt: skip

VALIDATIONS = "x-kubernetes-validations"


class Schema(BaseModel):
    """A part of a resource: camelCase in YAML, frozen.

    Unknown fields are ignored here because the API server has already refused or pruned them by the CRD; an operator
    older than the CRD must keep working.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def document(self) -> dict[str, Any]:
        """Return the JSON form: camelCase, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def rules(*pairs: tuple[str, str], **extra: Any) -> dict[str, Any]:
    """Return the schema extension that makes the API server check CEL rules, given as (rule, message)."""
    return {VALIDATIONS: [{"rule": rule, "message": message} for rule, message in pairs], **extra}


def map_list(key: str) -> dict[str, Any]:
    """Return the schema extension of a list whose items are told apart by ``key``, which is therefore unique."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def atomic_list() -> dict[str, Any]:
    """Return the schema extension of a list that is replaced as a whole."""
    return {"x-kubernetes-list-type": "atomic"}


def name_rule(kind: str) -> tuple[str, str]:
    """Return the rule that keeps a resource's name usable inside the names of its children."""
    return (
        f"size(self.metadata.name) <= {MAX_NAME} && self.metadata.name.matches('{VOICE_NAME}')",
        (
            f"metadata.name of a {kind} must be at most {MAX_NAME} characters: "
            "lower-case letters, digits and '-', starting with a letter"
        ),
    )


# s3://bucket/key with keys that are also safe as local file names; no empty, '.' or '..' segments.
S3_URI = "^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_=+@,-][A-Za-z0-9._=+@, -]*)*/?$"
VOICE_NAME = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
INPUT_HASH = "^[0-9a-f]{64}$"
DIGEST = "^sha256:[0-9a-f]{64}$"
DECIMAL = "^-?[0-9]{1,9}([.][0-9]{1,9})?$"

Digest = Annotated[str, Field(max_length=71)]
Uri = Annotated[str, Field(max_length=1024)]
ShortText = Annotated[str, Field(max_length=256)]
MAX_MESSAGE = 4096  # characters


def _one_line(message: object) -> object:
    """Return a message as one printable line: it may name what people or pods wrote."""
    return printable(message)[:MAX_MESSAGE] if isinstance(message, str) and not message.isprintable() else message


Message = Annotated[str, BeforeValidator(_one_line), Field(max_length=MAX_MESSAGE)]
ObjectName = Annotated[str, Field(max_length=253)]
Decimal = Annotated[str, Field(max_length=20)]
Time = Annotated[str, Field(max_length=32, description="RFC 3339, UTC.")]
