"""The lists of voices as pods ask the operator for them: by the token of the mounted list."""

import http.client
import json
import threading
import urllib.error
import urllib.request
from http import HTTPStatus

from tests.faults.client import ApiFailed, Client
from tests.support.voices import Object


class VoiceLists:
    """The lists of one namespace. Safe in threads; a token is read from the ConfigMap once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()
        self.generation = 0  # the highest that was read

    def read(self, operator: str, server: str, timeout: float = 5) -> list[Object]:
        """The entries that the operator at an address tells a server's pods to serve.

        Raises:
            OSError: it does not answer, has written no list yet, or refuses.
        """
        url = f"{operator}/servers/{self._client.namespace}/{server}/voices.json"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._token(server)}"})  # noqa: S310 -- ours
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 -- ours
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.UNAUTHORIZED:  # the signing key is another one, or nothing was written
                self._tokens.pop(server, None)
            raise
        voices: list[Object] = document["voices"]
        self.generation = max(self.generation, document["generation"])
        return voices

    def _token(self, server: str) -> str:
        with self._lock:
            if not self._tokens.get(server):
                self._tokens[server] = self._written(server)
            return self._tokens[server]

    def _written(self, server: str) -> str:
        try:
            found = self._client.find("configmaps", f"{server}-voices")
        except (ApiFailed, http.client.HTTPException) as error:
            raise OSError(str(error)) from error
        try:
            return str(json.loads(found["data"]["voices.json"]).get("token", "")) if found else ""
        except (KeyError, ValueError):  # edited by hand
            return ""
