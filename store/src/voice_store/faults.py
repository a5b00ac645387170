"""Faults as one sentence with the remedy: the same fault gives the same sentence, whichever program asks.

Sentences are made of the error's parts, never of its text: that repeats addresses of Python objects, secrets in
queries, or a server's page.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from voice_store.errors import (
    AccessDenied,
    AlreadyExists,
    BucketMissing,
    ClockSkew,
    ExpiredCredentials,
    InvalidKey,
    Misconfigured,
    NotFound,
    StoreError,
    StoreUnavailable,
    TooLarge,
    UntrustedCertificate,
    WrongRegion,
)
from voice_store.settings import S3Settings

LATER: Final = "try again later"
CLOCK: Final = "this machine's clock and the store's differ by more than 15 minutes; set both by NTP"
RENEW: Final = "the credentials have expired; renew AWS_SESSION_TOKEN with its keys and start again"
RIGHTS: Final = "the keys may not do this; give them the right to list, read, write and delete there"
UNKNOWN_KEY: Final = "the store does not know the access key; correct AWS_ACCESS_KEY_ID"
REGION: Final = "the bucket lies in another region than AWS_REGION={region}; set AWS_REGION to {expected}"

# S3's error codes; the braces are filled from the settings and the answer.
CODES: Final[Mapping[str, tuple[type[StoreError], str]]] = {
    "NoSuchKey": (NotFound, "there is no such object"),
    "NoSuchBucket": (
        BucketMissing,
        "there is no bucket {bucket!r} at {host}; create it, or correct the URI or AWS_ENDPOINT_URL_S3",
    ),
    "InvalidBucketName": (Misconfigured, "the store refuses the bucket name {bucket!r}; correct the URI"),
    "InvalidAccessKeyId": (AccessDenied, UNKNOWN_KEY),
    "XAdminUserNotFound": (AccessDenied, UNKNOWN_KEY),  # versitygw's word for it
    "SignatureDoesNotMatch": (AccessDenied, "the secret key does not fit; correct AWS_SECRET_ACCESS_KEY"),
    "InvalidToken": (AccessDenied, "the session token does not fit the keys; correct AWS_SESSION_TOKEN"),
    "AccessDenied": (AccessDenied, RIGHTS),
    "AllAccessDisabled": (AccessDenied, RIGHTS),
    "AccountProblem": (AccessDenied, "the account is locked; ask the store's owner"),
    "ExpiredToken": (ExpiredCredentials, RENEW),
    "ExpiredTokenException": (ExpiredCredentials, RENEW),
    "TokenRefreshRequired": (ExpiredCredentials, RENEW),
    "RequestTimeTooSkewed": (ClockSkew, CLOCK),
    "RequestExpired": (ClockSkew, CLOCK),
    "AuthorizationHeaderMalformed": (WrongRegion, REGION),
    "AuthorizationQueryParametersError": (WrongRegion, REGION),
    "IllegalLocationConstraintException": (WrongRegion, REGION),
    "PermanentRedirect": (WrongRegion, REGION),
    "TemporaryRedirect": (StoreUnavailable, "the bucket is being moved; " + LATER),
    "Redirect": (StoreUnavailable, "the bucket is being moved; " + LATER),
    "PreconditionFailed": (AlreadyExists, "it exists already"),
    "ConditionalRequestConflict": (StoreUnavailable, "somebody else writes it at this moment; " + LATER),
    "OperationAborted": (StoreUnavailable, "somebody else changes it at this moment; " + LATER),
    "NoSuchUpload": (StoreUnavailable, "the upload was interrupted; " + LATER),
    "NotImplemented": (Misconfigured, "the store cannot do this; use one that speaks S3 with conditional writes"),
    "MethodNotAllowed": (Misconfigured, "the store does not allow this; correct AWS_ENDPOINT_URL_S3"),
    "KeyTooLongError": (InvalidKey, "the key is too long for the store; use a shorter prefix"),
    "EntityTooLarge": (TooLarge, "the object is too large for the store; use another one"),
    "InvalidObjectState": (Misconfigured, "the object is archived; restore it from its storage class"),
    "QuotaExceeded": (StoreUnavailable, "the store is full; free space or raise the quota"),
    "XMinioStorageFull": (StoreUnavailable, "the store is full; free space or raise the quota"),
    "SlowDown": (StoreUnavailable, "the store has too many requests; " + LATER),
    "RequestTimeout": (StoreUnavailable, "the request took too long to arrive; " + LATER),
    "InternalError": (StoreUnavailable, "the store failed inside; " + LATER),
    "ServiceUnavailable": (StoreUnavailable, "the store is not ready; " + LATER),
}
# What happens before an answer, the narrower class above the wider; the braces are filled by the caller.
CONNECTIONS: Final[tuple[tuple[type[Exception], type[StoreError], str], ...]] = (
    (
        urllib3.exceptions.ProxyError,
        StoreUnavailable,
        "the proxy that leads to {host} does not answer or refuses; check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    ),
    (
        urllib3.exceptions.SSLError,
        Misconfigured,
        "{host} does not speak TLS as it should; use http:// if it has none; {remedy}",
    ),
    (urllib3.exceptions.NameResolutionError, StoreUnavailable, "the host {host} has no address; {remedy}"),
    (urllib3.exceptions.NewConnectionError, StoreUnavailable, "no connection to {host}; check that it runs; {remedy}"),
    (urllib3.exceptions.TimeoutError, StoreUnavailable, "{host} does not answer in time; check that it runs; {remedy}"),
    (TimeoutError, StoreUnavailable, "{host} does not answer in time; check that it runs; {remedy}"),
)
TRANSIENT_STATUS: Final = frozenset({408, 425, 429})
ADDRESS_VARIABLES: Final = "check AWS_ENDPOINT_URL_S3, and AWS_REGION where it is absent"

_EXPECTED_REGION = re.compile(r"expecting '([A-Za-z0-9-]{1,64})'")
_REGION_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_STATUS = re.compile(r"(?:Response code:|HTTP status code) (\d{3})")
_CODE_NAME = re.compile(r"[A-Za-z0-9.]{1,64}")


def store_fault(what: str, error: Exception, bucket: str, settings: S3Settings) -> StoreError:
    """Return the error that an exception of the S3 client's becomes; ``what`` names the object or the place."""
    if isinstance(error, S3Error):
        return _answer_fault(what, error, bucket, settings)
    if isinstance(error, InvalidResponseError | ServerError):
        found = _STATUS.search(str(error))
        return _status_fault(what, int(found[1]) if found else 0, settings)
    if isinstance(error, urllib3.exceptions.HTTPError | OSError):
        return network_fault(what, error, settings.url.geturl(), settings, ADDRESS_VARIABLES)
    if isinstance(error, MinioException):
        return StoreUnavailable(f"{what}: the store's answer makes no sense; {LATER}")
    # ValueError: the client's own checks of names and answers; ParseError: an answer that is no XML
    reason = "" if isinstance(error, UnicodeError | ParseError) else f" ({_plain(str(error))})"
    return Misconfigured(
        f"{what}: the S3 client refuses the request or its answer{reason}; correct the URI or AWS_ENDPOINT_URL_S3"
    )


def network_fault(what: str, error: Exception, url: str, settings: S3Settings, remedy: str) -> StoreError:
    """Return the error that a failed connection to ``url`` becomes."""
    host = _host(url)
    cause = error
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        cause = error.reason
    if certificate := _certificate_error(cause):
        return _certificate_fault(what, host, certificate, settings)
    for kind, error_of, sentence in CONNECTIONS:
        if isinstance(cause, kind):
            return error_of(f"{what}: {sentence.format(host=host, remedy=remedy)}")
    return StoreUnavailable(f"{what}: the connection to {host} broke; {LATER}")


def code_fault(
    what: str, code: str, bucket: str, settings: S3Settings, *, status: int = 0, region: str = ""
) -> StoreError:
    """Return the error that one of S3's codes becomes; ``region`` is where the store says the bucket is."""
    if code not in CODES:
        name = code if _CODE_NAME.fullmatch(code) else f"status {status}"
        if status >= 500 or status in TRANSIENT_STATUS:
            return StoreUnavailable(f"{what}: the store answers {name}; {LATER}")
        return Misconfigured(f"{what}: the store refuses the request with {name}; correct the URI or the store's setup")
    kind, sentence = CODES[code]
    host = _host(settings.url.geturl())
    expected = region if _REGION_NAME.fullmatch(region) else "the bucket's"
    return kind(f"{what}: {sentence.format(bucket=bucket, host=host, region=settings.region, expected=expected)}")


def _answer_fault(what: str, error: S3Error, bucket: str, settings: S3Settings) -> StoreError:
    region = error.response.headers.get("x-amz-bucket-region", "")
    if not region and (found := _EXPECTED_REGION.search(error.message or "")):
        region = found[1]
    return code_fault(what, error.code or "", bucket, settings, status=error.response.status, region=region)


def _status_fault(what: str, status: int, settings: S3Settings) -> StoreError:
    host = _host(settings.url.geturl())
    if status == 407:
        return Misconfigured(f"{what}: the proxy wants a password; put it into HTTPS_PROXY or HTTP_PROXY")
    if status >= 500 or status in TRANSIENT_STATUS:
        return StoreUnavailable(f"{what}: {host} answers {status}; {LATER}")
    return Misconfigured(f"{what}: {host} answers {status} and not as S3 does; correct AWS_ENDPOINT_URL_S3")


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Find the reason among the wrappings of urllib3's."""
    seen: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        this = pending.pop()
        if this is None or this in seen:
            continue
        if isinstance(this, ssl.SSLCertVerificationError):
            return this
        seen.append(this)
        pending += [this.__cause__, this.__context__, *(part for part in this.args if isinstance(part, BaseException))]
    return None


def _certificate_fault(what: str, host: str, error: ssl.SSLCertVerificationError, settings: S3Settings) -> StoreError:
    match error.verify_code:
        case 62 | 64:  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            fault = f"the certificate of {host} is for another name"
            remedy = "use a name that it has in AWS_ENDPOINT_URL_S3"
            if settings.virtual_host:
                remedy += ", or set VOICE_S3_ADDRESSING=path"
        case 9 | 10:  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
            fault = f"the certificate of {host} is not valid today"
            remedy = "renew it, or set this machine's clock"
        case _:
            fault = f"the certificate of {host} is not signed by an authority that is trusted here"
            remedy = "set AWS_CA_BUNDLE to a PEM file with its certificate authority"
    return UntrustedCertificate(f"{what}: {fault}; {remedy}")


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
