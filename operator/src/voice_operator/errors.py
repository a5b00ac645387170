"""Everything the operator raises on purpose; none of it knows HTTP or kopf.

OperatorError
├── InvalidSettings      the process cannot start
├── InvalidObject        read from the cluster; only its author can help
├── InvalidDocument      read from the object store or from a pod; only its author can help
├── UnprovedResult       read from the object store; no attempt of ours wrote it
├── OwnershipConflict    a person must choose
├── ListTooLong          a server has more voices than its list can hold; a person must divide them
├── InstallationConflict another operator works in the same namespaces; a person must choose
├── LeadershipLost       another replica works now; the process must end
├── WatchStalled         a watch no longer delivers; the process must end
├── ClusterError         the API server failed; the next attempt may succeed
│   ├── NotFound
│   ├── Conflict
│   └── Expired
├── StoreError           the object store failed; the next attempt may succeed
├── ListingUnderWay      a prefix has many objects; the voice is looked at again when it is listed
└── AnswerTooLarge       a server sent more than it may
"""


class OperatorError(Exception):
    """Base of all errors that the operator raises on purpose."""


class InvalidSettings(OperatorError):
    """The configuration is wrong. The message names file, key, value and remedy."""


class InvalidObject(OperatorError):
    """An object in the cluster does not match its CRD. The message names object, field and value."""


class InvalidDocument(OperatorError):
    """A document of trainer or server does not match docs/contracts.md. The message names its URI, field and value."""


class UnprovedResult(OperatorError):
    """Results of stages lack the receipts of attempts that the operator made; they count as absent."""


class OwnershipConflict(OperatorError):
    """An object has the name that the operator needs and another owner; a person must delete or rename one of them."""


class ClusterError(OperatorError):
    """The API server refused or failed a request.

    ``reason`` is the API's own (``Forbidden``, ``Invalid``, ...), or one of ours where there was no answer:
    ``Unreachable``, ``TooLarge``, ``NoCredentials``.
    """

    def __init__(self, request: str, *, reason: str, message: str) -> None:
        super().__init__(f"{request}: {reason}: {message}")
        self.reason = reason


class NotFound(ClusterError):
    """The object does not exist, or its kind does not."""


class Conflict(ClusterError):
    """The object exists already, or it changed since it was read."""


class Expired(ClusterError):
    """The resource version or the list's continuation is too old; list again."""


class ListTooLong(OperatorError):
    """The list of a server's voices does not fit its ConfigMaps. The message names the server and the remedy."""


class InstallationConflict(OperatorError):
    """Two installations would work on the same objects. The message names the other one and the remedies."""


class LeadershipLost(OperatorError):
    """This replica's lease is over: it must stop before it writes anything more."""


class WatchStalled(OperatorError):
    """A watch ended for good, or does not deliver what a list shows; only a new process gets a new one from kopf."""


class StoreError(OperatorError):
    """The object store refused or failed a request. The message names the URI."""


class ListingUnderWay(OperatorError):
    """What lies below a prefix is being listed, and that takes longer than a pass may wait."""


class AnswerTooLarge(OperatorError):
    """An HTTP answer has more bytes than any valid one. The message names its URL and the limit."""
