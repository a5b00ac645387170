"""Everything the operator raises on purpose, as one tree."""


class OperatorError(Exception):
    """Base of all errors that the operator raises on purpose."""


class InvalidSettings(OperatorError):
    """The configuration file is wrong; the process cannot start. The message names the key."""


class InvalidObject(OperatorError):
    """An object in the cluster does not have the shape its CRD promises. The message names the field."""


class InvalidDocument(OperatorError):
    """A document in the object store cannot be read. The message names its URI and the field."""


class ClusterError(OperatorError):
    """The API server refused or failed a request; trying again may help."""

    def __init__(self, what: str, *, status: int, reason: str, message: str) -> None:
        super().__init__(f"{what}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason


class NotFound(ClusterError):
    """There is no such object, or it is gone."""


class Conflict(ClusterError):
    """The object exists already, or changed since it was read."""


class StoreError(OperatorError):
    """The object store does not answer as it should; trying again may help."""


class OwnershipConflict(OperatorError):
    """An object has the name that the operator needs but belongs to somebody else; a person must choose."""
