"""Strategic merge of pod templates, as the API server patches them: lists of named items merge by their names.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/ has the rules; the keys are
the ``x-kubernetes-patch-merge-key`` of PodTemplateSpec in Kubernetes' OpenAPI document.
"""

from typing import Any

Document = dict[str, Any]

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
}
DIRECTIVE = "$patch"


def strategic_merge(document: Document, patch: Document) -> Document:
    """Return ``document`` with ``patch`` merged into it; neither is changed.

    ``null`` removes a field, ``$patch: delete`` an item, ``$patch: replace`` keeps nothing of what was there. Lists
    without a merge key are replaced.

    Raises:
        ValueError: an item lacks its key, or a directive is unknown.
    """
    directive = patch.get(DIRECTIVE)
    if directive not in (None, "merge", "replace"):
        raise ValueError(f"{DIRECTIVE} is {directive!r}; use replace, or in an item of a list delete")
    merged = {} if directive == "replace" else dict(document)
    for name, value in patch.items():
        if name == DIRECTIVE:
            continue
        old = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = strategic_merge(old if isinstance(old, dict) else {}, value)
        elif isinstance(value, list) and name in MERGE_KEYS:
            merged[name] = _merged_items(name, old or [], value)
        else:
            merged[name] = value
    return merged


def _merged_items(name: str, old: list[Document], patch: list[Document]) -> list[Document]:
    key = MERGE_KEYS[name]
    items = {item[key]: item for item in old}
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise ValueError(f"{name}: an item of a patch needs {key}, by which it is found")
        if item.get(DIRECTIVE) == "delete":
            items.pop(item[key], None)
        else:
            items[item[key]] = strategic_merge(items.get(item[key], {}), item)
    return list(items.values())
