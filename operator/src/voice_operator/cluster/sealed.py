"""Documents in the object store that the installation signs: what anybody else wrote there is not believed."""

from typing import ClassVar, Self

from pydantic import Field

from voice_operator.documents import Document
from voice_operator.signing import PublicKey, SigningKey, canonical


class SealedDocument(Document):
    """A document with the installation's signature in it."""

    later: ClassVar[frozenset[str]] = frozenset()  # fields that earlier releases did not sign: only where they are set

    seal: str = Field("", max_length=128, description="Signature of the installation over all other fields.")

    def sealed(self, key: SigningKey) -> Self:
        """Return the document with the installation's signature."""
        return self.model_copy(update={"seal": key.sign(self._statement())})

    def is_sealed(self, key: PublicKey) -> bool:
        """Return whether this installation wrote it."""
        return key.verifies(self._statement(), self.seal)

    def _statement(self) -> bytes:
        unset = {name for name in self.later if getattr(self, name) == type(self).model_fields[name].default}
        return canonical(self.model_dump(mode="json", by_alias=True, exclude={"seal", *unset}))
