"""Everything that can go wrong while a base is trained.

SovitsError
└── PretrainError
"""

from sovits_core.errors import SovitsError


class PretrainError(SovitsError):
    """Making a tiny base cannot go on: a program is missing or the corpus cannot be used."""
