"""Everything that can go wrong while a base is trained.

SovitsError
└── TinyBaseError
    ├── InvalidInput        an option, the configuration or the recordings must change
    ├── MissingProgram      flite must be installed
    ├── SynthesisFailed     flite ended with an error
    ├── DeviceUnavailable   another device must be chosen
    ├── StageOrder          an earlier stage must be trained first
    ├── IncompatibleBase    another base, or none, must be continued
    ├── AlignmentFailed     a recording is too short for its text
    └── BundleTooLarge      smaller networks must be chosen
"""

from sovits_core.errors import SovitsError


class TinyBaseError(SovitsError):
    """Training a tiny base cannot go on."""


class InvalidInput(TinyBaseError):
    """An option, the configuration or the recordings cannot be used."""


class MissingProgram(TinyBaseError):
    """A program that the corpus needs is not installed."""


class SynthesisFailed(TinyBaseError):
    """The speech synthesiser ended with an error."""


class DeviceUnavailable(TinyBaseError):
    """The device asked for is not there."""


class StageOrder(TinyBaseError):
    """A stage needs an earlier one to be complete."""


class IncompatibleBase(TinyBaseError):
    """The base to continue has other sizes than this run."""


class AlignmentFailed(TinyBaseError):
    """A recording has fewer frames than its text has phones."""


class BundleTooLarge(TinyBaseError):
    """The bundle exceeds what may be committed."""
