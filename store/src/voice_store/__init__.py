"""One object store for operator, trainer, server and tools: S3 or a folder, one grammar of URIs, bundles by digest.

    store = open_store("s3://voices/studio/alice")
    store.write("manifest.json", b"{}", "application/json")

Importing this loads neither minio nor urllib3; the first ``s3://`` URI does. ``errors.py`` draws what can go wrong,
``settings.py`` lists the variables of the environment.
"""

from voice_store.bundles import BundleCache, BundleKind, check_digest, check_folder, needed_files, parse_index
from voice_store.errors import (
    AccessDenied,
    AlreadyExists,
    BucketMissing,
    CacheUnusable,
    ClockSkew,
    CredentialsMissing,
    DigestMismatch,
    ExpiredCredentials,
    InvalidIndex,
    InvalidKey,
    InvalidUri,
    Misconfigured,
    NotFound,
    StoreError,
    StoreUnavailable,
    TooLarge,
    UntrustedCertificate,
    WrongRegion,
)
from voice_store.files import Content, content_of, content_of_file
from voice_store.folder import FolderStore
from voice_store.opening import StoreFactory, open_store
from voice_store.settings import ENVIRONMENT_HELP, CredentialSources, S3Settings, Transport
from voice_store.store import Entry, RetentionMode, Store, Version
from voice_store.uris import StoreUri, check_key

__all__ = [
    "ENVIRONMENT_HELP",
    "AccessDenied",
    "AlreadyExists",
    "BucketMissing",
    "BundleCache",
    "BundleKind",
    "CacheUnusable",
    "ClockSkew",
    "Content",
    "CredentialSources",
    "CredentialsMissing",
    "DigestMismatch",
    "Entry",
    "ExpiredCredentials",
    "FolderStore",
    "InvalidIndex",
    "InvalidKey",
    "InvalidUri",
    "Misconfigured",
    "NotFound",
    "RetentionMode",
    "S3Settings",
    "Store",
    "StoreError",
    "StoreFactory",
    "StoreUnavailable",
    "StoreUri",
    "TooLarge",
    "Transport",
    "UntrustedCertificate",
    "Version",
    "WrongRegion",
    "check_digest",
    "check_folder",
    "check_key",
    "content_of",
    "content_of_file",
    "needed_files",
    "open_store",
    "parse_index",
]
