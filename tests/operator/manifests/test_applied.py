"""A child is written again where it differs from its manifest, in either direction."""

from copy import deepcopy
from typing import Any

import pytest

from voice_operator.manifests.applied import APPLIED, unapplied, with_digest

POD = {"containers": [{"name": "inference", "image": "i:1"}], "nodeSelector": {"pool": "gpu"}, "tolerations": [{}]}
MANIFEST: dict[str, Any] = {
    "metadata": {"name": "default", "labels": {"a": "b"}},
    "spec": {"replicas": 2, "template": {"spec": POD}},
}


def in_the_cluster(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the API server makes of an applied manifest: it adds defaults and its own records."""
    item = deepcopy(with_digest(manifest))
    item["metadata"] |= {"uid": "uid", "generation": 1}
    item["metadata"]["annotations"] |= {"deployment.kubernetes.io/revision": "1"}
    item["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    item["status"] = {"replicas": 2}
    return item


def changed(path: str, value: Any) -> dict[str, Any]:
    """The manifest with one field changed; None removes it."""
    found = deepcopy(MANIFEST)
    *above, last = path.split(".")
    part: Any = found
    for key in above:
        part = part[key]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return found


def test_what_was_applied_last_is_not_applied_again() -> None:
    assert unapplied(with_digest(MANIFEST), in_the_cluster(MANIFEST)) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("spec.template.spec.nodeSelector", None, id="a field that was removed"),
        pytest.param("spec.template.spec.tolerations", None, id="a list that was removed"),
        pytest.param("spec.template.spec.nodeSelector", {}, id="a field that was emptied"),
        pytest.param("metadata.labels", {}, id="a label that was removed"),
        pytest.param("spec.replicas", 3, id="a value that changed"),
        pytest.param("spec.paused", True, id="a field that is new"),
    ],
)
def test_a_manifest_is_applied_again_for(path: str, value: Any) -> None:
    assert unapplied(with_digest(changed(path, value)), in_the_cluster(MANIFEST))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("spec.replicas", 5, id="a value that somebody changed"),
        pytest.param("spec.template.spec.nodeSelector", None, id="a field that somebody removed"),
        pytest.param("metadata.labels", {"a": "c"}, id="a label that somebody changed"),
    ],
)
def test_it_is_applied_again_over(path: str, value: Any) -> None:
    assert unapplied(with_digest(MANIFEST), in_the_cluster(changed(path, value)))
    edited = in_the_cluster(changed(path, value))
    edited["metadata"]["annotations"][APPLIED] = with_digest(MANIFEST)["metadata"]["annotations"][APPLIED]
    assert unapplied(with_digest(MANIFEST), edited), "an edit by hand leaves the digest as it was"


def test_a_child_that_does_not_exist_was_never_applied() -> None:
    assert unapplied(with_digest(MANIFEST), {})


def test_the_digest_does_not_depend_on_the_order_of_fields() -> None:
    reversed_ = {key: MANIFEST[key] for key in reversed(MANIFEST)}
    assert with_digest(reversed_)["metadata"]["annotations"] == with_digest(MANIFEST)["metadata"]["annotations"]
    assert "annotations" not in MANIFEST["metadata"], "the manifest itself is left as it is"
