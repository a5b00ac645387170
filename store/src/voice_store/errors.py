"""Everything that a store raises, as a tree; each message is one sentence with the URI, the fault and the remedy.

StoreError
├── NotFound                  there is no such object
├── AlreadyExists             ``create`` found an object under the key
├── TooLarge                  more bytes or objects than the caller is willing to take
├── DigestMismatch            the bytes are not those that were promised
├── InvalidIndex              a bundle's index is malformed or names what no bundle holds
├── CacheUnusable             the local folder for bundles cannot be written
├── StoreUnavailable          transient: the same call can succeed later or in a new process
│   ├── ClockSkew             this machine's clock is off
│   └── ExpiredCredentials    the keys have expired; a new process reads renewed ones
└── Misconfigured             permanent: a person must change something
    ├── InvalidUri            the text is no URI of a store
    ├── InvalidKey            the key is no plain relative path
    ├── BucketMissing         there is no such bucket
    ├── WrongRegion           the bucket lies in another region
    ├── CredentialsMissing    no source of credentials has any
    ├── AccessDenied          the credentials are refused, or lack a right
    └── UntrustedCertificate  TLS: the server's certificate does not fit
"""


class StoreError(Exception):
    """Base of all errors that a store raises on purpose; the subclasses say what happens next."""


class NotFound(StoreError):
    """There is no such object."""


class AlreadyExists(StoreError):
    """There is an object under the key already; somebody else was faster."""


class TooLarge(StoreError):
    """There are more bytes or more objects than the caller is willing to take."""


class DigestMismatch(StoreError):
    """The bytes are not those that were promised."""

    def __init__(self, what: str, *, expected: str, actual: str) -> None:
        super().__init__(f"{what} has the digest {actual}, expected {expected}; publish it again or correct the digest")


class InvalidIndex(StoreError):
    """The index of a bundle is malformed, or names files that are too large or outside of the bundle."""


class CacheUnusable(StoreError):
    """The local folder that keeps fetched bundles cannot be read or written."""


class StoreUnavailable(StoreError):
    """The store did not answer properly; the same call can succeed later."""


class ClockSkew(StoreUnavailable):
    """The clock here and the store's differ by more than a signature allows; elsewhere the call can succeed."""


class ExpiredCredentials(StoreUnavailable):
    """The credentials were valid once; a new process reads renewed ones."""


class Misconfigured(StoreError):
    """The URI, the environment or the store is set up wrongly; a person must change it."""


class InvalidUri(Misconfigured):
    """The text is no URI of a store."""


class InvalidKey(Misconfigured):
    """The key is no plain relative path."""


class BucketMissing(Misconfigured):
    """There is no such bucket."""


class WrongRegion(Misconfigured):
    """The bucket lies in another region than the requests are signed for."""


class CredentialsMissing(Misconfigured):
    """No source of credentials that the environment names has any."""


class AccessDenied(Misconfigured):
    """The store or its token service refuses the credentials, or they lack a right."""


class UntrustedCertificate(Misconfigured):
    """The server's TLS certificate is not one that this process trusts."""
