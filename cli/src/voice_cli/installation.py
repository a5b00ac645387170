"""What the installation's configuration says to whoever may read it."""

from collections.abc import Mapping
from typing import Any, Final

OPERATOR_LABELS: Final = "app.kubernetes.io/part-of=voice-operator"
CONFIG_FILE: Final = "config.yaml"


def recordings_prefix(config: Mapping[str, Any], namespace: str) -> str:
    """Return the first prefix at which the operator admits recordings of a namespace; empty: it names none."""
    storage = str((config.get("storage") or {}).get("uri") or "").rstrip("/")
    allowed = (config.get("tenancy") or {}).get("datasets") or []
    found = str(allowed[0]) if allowed else (f"{storage}/datasets/{{namespace}}" if storage else "")
    return found.replace("{namespace}", namespace)
