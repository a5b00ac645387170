"""What the installation's configuration says to whoever may read it."""

from collections.abc import Mapping
from typing import Any, Final

OPERATOR_LABELS: Final = "app.kubernetes.io/part-of=voice-operator"
CONFIG_FILE: Final = "config.yaml"


DEFAULT_PREFIX: Final = "{storage}/datasets/{namespace}/"


def recordings_prefixes(config: Mapping[str, Any], namespace: str) -> list[str]:
    """Return the prefixes at which the operator admits recordings of a namespace; or none."""
    storage = str((config.get("storage") or {}).get("uri") or "").rstrip("/")
    tenancy = config.get("tenancy") or {}
    own = ((tenancy.get("namespaces") or {}).get(namespace) or {}).get("datasets")
    allowed = own if own is not None else tenancy.get("datasets") or [DEFAULT_PREFIX]
    known = [str(one) for one in allowed if storage or "{storage}" not in str(one)]
    return [one.replace("{storage}", storage).replace("{namespace}", namespace) for one in known]


def recordings_prefix(config: Mapping[str, Any], namespace: str) -> str:
    """Return the first of them; empty: there is none."""
    return next(iter(recordings_prefixes(config, namespace)), "")
