"""Keys for a while and for a few prefixes, from a token service: AssumeRole with a session policy (AWS, MinIO).

The request is signed with the keys that this process has itself, from whichever source. minio's ``AssumeRoleProvider``
cannot take temporary ones, which is all that a pod on AWS has, so the request is made here and signed by minio.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

from minio.signer import sign_v4_sts
from minio.time import to_amz_date

from voice_store.connections import pool_for
from voice_store.credentials import Service, ServiceClient, provider_of
from voice_store.errors import CredentialsMissing
from voice_store.settings import S3Settings, Transport

_REMEDY: Final = "allow sts:AssumeRole to the operator's keys, and correct the token service's address and role"


@dataclass(frozen=True)
class SessionKeys:
    """Keys that end by themselves."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: datetime


class TokenService:
    """Asks a token service for keys; safe to use from several threads."""

    def __init__(
        self,
        *,
        endpoint: str = "",
        role_arn: str = "",
        environment: Mapping[str, str] | None = None,
        transport: Transport = Transport(),  # noqa: B008 -- frozen
    ) -> None:
        """Take the process's own keys, region and proxies from the environment.

        Args:
            endpoint: of the service; empty: the store's own where it has an address, else AWS's, by region.
            role_arn: whose rights the session policy narrows; MinIO needs none and narrows the caller's.
            environment: the process's own unless another is given.
            transport: how patiently the service is asked.

        Raises:
            Misconfigured: a variable has a value that cannot work.
            CredentialsMissing: there are no keys to ask with.
        """
        self.settings = S3Settings.from_environment(os.environ if environment is None else environment)
        suffix = ".cn" if self.settings.region.startswith("cn-") else ""
        by_region = f"https://sts.{self.settings.region}.amazonaws.com{suffix}"
        self._address = (endpoint or self.settings.endpoint or by_region).rstrip("/")
        self._role_arn = role_arn
        self._own_keys = provider_of(self.settings, transport)
        self._service = f"the token service {self._address}"
        self._client = ServiceClient(
            Service(self._service, _REMEDY, self.settings), pool_for(self._address, self.settings, transport)
        )

    def assume(self, policy: str, name: str, seconds: int) -> SessionKeys:
        """Return keys that may do what ``policy`` (JSON, at most 2048 characters) and the role allow.

        ``seconds`` may be 900 to 43,200; AWS gives temporary keys' callers at most an hour
        (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).

        Raises:
            StoreError: the service is away or refuses.
        """
        form = {"Action": "AssumeRole", "Version": "2011-06-15", "DurationSeconds": str(seconds), "Policy": policy}
        form |= {"RoleSessionName": name} | ({"RoleArn": self._role_arn} if self._role_arn else {})
        body = urlencode(form).encode()
        response = self._client.urlopen("POST", f"{self._address}/", body=body, headers=self._headers(body))
        return self._keys(response.data)

    def _headers(self, body: bytes) -> dict[str, str]:
        """Return the headers of a signed request."""
        own, now, address = self._own_keys.retrieve(), datetime.now(UTC), urlsplit(f"{self._address}/")
        standard = (address.scheme, address.port) in (("http", 80), ("https", 443))
        headers: dict[str, str | list[str] | tuple[str]] = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Host": (address.hostname or "") if standard else address.netloc,
            "X-Amz-Date": to_amz_date(now),
        }
        if own.session_token:
            headers["X-Amz-Security-Token"] = own.session_token
        signed = sign_v4_sts(
            method="POST",
            url=address,
            region=self.settings.region,
            headers=headers,
            credentials=own,
            content_sha256=hashlib.sha256(body).hexdigest(),
            date=now,
        )
        return {name: str(value) for name, value in signed.items()}

    def _keys(self, answer: bytes) -> SessionKeys:
        try:
            root = ET.fromstring(answer)  # noqa: S314 -- of the service that hands out the keys; no entities are read
            found = {one.tag.rpartition("}")[2]: one.text or "" for one in root.iter()}
            keys = SessionKeys(
                found["AccessKeyId"],
                found["SecretAccessKey"],
                found["SessionToken"],
                datetime.fromisoformat(found["Expiration"]),
            )
        except (ET.ParseError, KeyError, ValueError) as error:
            # The answer may hold keys, so it is not repeated.
            raise CredentialsMissing(f"{self._service} gave no usable keys; {_REMEDY}") from error
        if not keys.access_key or keys.expires.tzinfo is None:
            raise CredentialsMissing(f"{self._service} gave no usable keys; {_REMEDY}")
        return keys
