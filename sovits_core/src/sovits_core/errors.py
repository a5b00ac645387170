"""Everything that can go wrong in the model family, as one tree.

SovitsError
├── InvalidModelConfig      a configuration describes no network
├── InvalidModelInput       a tensor has the wrong shape, length or content
├── CheckpointMismatch      stored weights and network disagree
├── AdapterRejected         an adapter does not fit its base
├── ExportError             a network has no graph
├── TextRejected            a text has no phones
│   ├── MissingExtra        the language's packages are not installed
│   ├── UnreadableLetters   a word is in a script that the language is not written with
│   └── LexiconRejected     a reading that was given for a word cannot be used
├── UnknownSymbolTable      no version of the family has this table
├── TextModelRejected       the folder of a text model is damaged
├── BaseRejected            a base bundle is missing or damaged
├── VoiceRejected           a voice bundle is damaged or of another base
├── OfficialFileRejected    an official file cannot be read or trusted
└── BenchError              the benchmark cannot begin
"""

from collections.abc import Iterable

_LETTERS_SHOWN = 20


class SovitsError(Exception):
    """Base of all errors of this package; its message is fit for a user."""


class InvalidModelConfig(SovitsError):
    """A configuration describes a network that cannot be built."""


class InvalidModelInput(SovitsError):
    """A tensor given to a network or to a feature has the wrong shape, length or content."""


class CheckpointMismatch(SovitsError):
    """Stored weights and the network they are meant for disagree; every difference is named."""

    def __init__(self, what: str, differences: Iterable[str]) -> None:
        self.differences = tuple(differences)
        shown = "; ".join(self.differences[:20])
        rest = len(self.differences) - 20
        super().__init__(f"{what} does not fit the network: {shown}{f'; and {rest} more' if rest > 0 else ''}")


class AdapterRejected(SovitsError):
    """An adapter is not one that this base can carry, or its file is not to be trusted."""


class ExportError(SovitsError):
    """A network cannot be written as a graph."""


class TextRejected(SovitsError):
    """The text, or the language named for it, cannot be turned into phones; the caller must change it."""


class UnknownSymbolTable(SovitsError):
    """A symbol table was asked for by a name that no version of the family has."""


class BaseRejected(SovitsError):
    """A base bundle is missing, damaged, or not what its base.json says."""


class OfficialFileRejected(SovitsError):
    """A file in the official format cannot be read, is not to be trusted, or is not the one that is wanted."""


class VoiceRejected(SovitsError):
    """A voice bundle is damaged, or belongs to another base than the one given."""


class MissingExtra(TextRejected):
    """A language was named whose packages are an optional part of this one, and not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs more packages: pip install "sovits-core[{extra}]"')


class UnreadableLetters(TextRejected):
    """A text has letters that no reader of its language knows; trainer and server refuse it alike."""

    def __init__(self, letters: str, language: str) -> None:
        self.letters = letters if len(letters) <= _LETTERS_SHOWN else f"{letters[:_LETTERS_SHOWN]}…"
        super().__init__(
            f"the text has {self.letters!r}, which no word of language {language!r} is written with; write what is to "
            "be spoken in that language"
        )


class LexiconRejected(TextRejected):
    """An entry of a lexicon has a word or a reading that cannot be used; the message names it and the remedy."""


class TextModelRejected(SovitsError):
    """A folder with a network that reads text is incomplete or damaged, or its parts do not belong together."""


class BenchError(SovitsError):
    """The benchmark cannot begin: an option is out of range, or a package is missing."""
