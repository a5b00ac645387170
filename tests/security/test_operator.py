"""The operator itself: what a tenant may write in its own namespace does not make it stop."""

import pytest
from tests.security.installation import SYSTEM, TEAM_A, Installation, refusal
from tests.support.voices import Object

pytestmark = [pytest.mark.cluster, pytest.mark.security]


def lease(watches: str, name: str = "voice-operator") -> Object:
    """A Lease as an older operator's, which lets a younger one that works in the same namespaces end itself."""
    metadata = {
        "name": name,
        "namespace": TEAM_A,
        "labels": {"app.kubernetes.io/part-of": "voice-operator"},
        "annotations": {"voice.sovits.dev/watches": watches},
    }
    spec = {"holderIdentity": "x", "acquireTime": "2000-01-01T00:00:00.000000Z", "leaseDurationSeconds": 15}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("watches", ["*", TEAM_A, f"{TEAM_A},{SYSTEM}"])
def test_nobody_pretends_to_be_an_older_operator(installation: Installation, watches: str) -> None:
    ada = installation.person("ada", TEAM_A)
    said = refusal(lambda: ada.create("leases", lease(watches)))
    assert "ada may not write the Lease voice-operator: it says that a voice operator works in" in said
    plain = lease(watches, "plain")
    del plain["metadata"]["annotations"]
    ada.create("leases", plain)
    claim = {"metadata": {"annotations": {"voice.sovits.dev/watches": watches}}}
    assert "may not write the Lease plain" in refusal(lambda: ada.patch("leases", "plain", claim))
    ada.delete("leases", "plain")


def test_an_operator_that_has_the_rights_may_say_so(installation: Installation) -> None:
    """Another installation for one namespace, as far as its rights go."""
    olga = installation.person("olga", TEAM_A)
    olga.create("leases", lease(TEAM_A, "theirs"))
    olga.delete("leases", "theirs")
    assert "all namespaces" in refusal(lambda: olga.create("leases", lease("*", "theirs")))
