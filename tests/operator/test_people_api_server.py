"""Attempts to serve what people did not permit, against a real API server with the chart's roles and policies.

Each is made by somebody with the rights that the sentence names, each fails, and each says why. The tests follow two
voices through their lives, in order: ann, whose revisions need two approvals, and bea, whose consent ends.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from dev.operator_process import OperatorProcess
from dev.ports import free_port
from tests.faults.client import Client
from tests.support.voice_list import VoiceLists
from tests.support.voices import recordings_digest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NAMESPACE = "operator-tests"
RELEASE = "voice-system:voice-operator"
NAMED = "voice.sovits.dev/requested-by"
DIGEST = "sha256:" + "0" * 64
ROLES = {
    "eve": ["edit"],
    "adam": ["admin"],
    "erin": ["edit", f"{RELEASE}:reviewer"],
    "rita": [f"{RELEASE}:reviewer"],
    "rolf": [f"{RELEASE}:reviewer"],
    "olga": [f"{RELEASE}:consent-officer"],
    "xena": [f"{RELEASE}:exporter"],
    "pat": ["view", "patch-revisions"],
    f"system:serviceaccount:{NAMESPACE}:ci": [f"{RELEASE}:reviewer"],
}
SECONDS = 15
SHORTEST_SECONDS = 60  # of spec.review.timeout
Object = dict[str, Any]


class Person:
    """Somebody with kubectl and the rights of ROLES."""

    def __init__(self, name: str, kubectl: Path, kubeconfig: Path) -> None:
        self.name = name
        self._kubectl = kubectl
        self._kubeconfig = kubeconfig

    def run(self, *arguments: str, body: Object | None = None) -> subprocess.CompletedProcess[str]:
        who = ["--as", self.name] if self.name else []  # without a name, the cluster's administrator
        command = [self._kubectl, "--kubeconfig", self._kubeconfig, "-n", NAMESPACE, *who, *arguments]
        given = None if body is None else json.dumps(body)
        return subprocess.run(command, input=given, text=True, capture_output=True, check=False, timeout=60)

    def refused(self, *arguments: str, body: Object | None = None) -> str:
        done = self.run(*arguments, body=body)
        assert done.returncode, f"{self.name} may {arguments}"
        return " ".join(done.stderr.split())

    def does(self, *arguments: str, body: Object | None = None) -> str:
        done = self.run(*arguments, body=body)
        assert not done.returncode, done.stderr
        return done.stdout

    def patch(self, kind: str, name: str, change: Any, *flags: str) -> tuple[str, ...]:
        how = "--type=json" if isinstance(change, list) else "--type=merge"
        return ("patch", kind, name, how, *flags, "-p", json.dumps(change))

    def decide(self, verb: str, revision: str, *flags: str) -> subprocess.CompletedProcess[str]:
        """As `kubectl voice approve` does it."""
        where = ["-n", NAMESPACE, "--as", self.name, "--kubeconfig", str(self._kubeconfig)]
        path = f"{self._kubectl.parent}:{os.environ['PATH']}"
        return subprocess.run(
            [sys.executable, "-m", "voice_cli", verb, revision, *where, *flags],
            env=os.environ | {"PATH": path},
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )


class People:
    """Everybody, and the operator's side of the scene."""

    def __init__(self, scene: Any, kubectl: Path, kubeconfig: Path, repository: Path) -> None:
        self.scene = scene
        self.repository = repository
        self.kubeconfig = kubeconfig
        self._where = (kubectl, kubeconfig)

    def __getitem__(self, name: str) -> Person:
        return Person(name, *self._where)

    @property
    def root(self) -> Person:
        return self[""]

    def get(self, kind: str, name: str) -> Object:
        found: Object = json.loads(self.root.does("get", kind, name, "-o", "json"))
        return found

    def ready(self, voice: str) -> Object:
        found: Object = self.scene.user.condition(voice, "Ready")
        return found

    def wait_for(self, voice: str, reason: str) -> str:
        """Wait for the reason of a voice, and return its sentence."""
        self.scene.wait(f"{voice}: {reason}", lambda: self.ready(voice)["reason"] == reason, SECONDS)
        return str(self.ready(voice)["message"])

    def revisions(self, voice: str) -> list[str]:
        items = json.loads(self.root.does("get", "vrev", "-o", "json"))["items"]
        return [item["metadata"]["name"] for item in items if item["spec"]["voiceModel"] == voice]

    def is_served(self, voice: str, revision: str = "") -> bool:
        found = [one for one in self.scene.inference.voices() if one["id"] == f"{NAMESPACE}/{voice}"]
        return any(not revision or one["revision"] == revision for one in found)

    @contextmanager
    def without_validation_of_consents(self, voice: str) -> Iterator[None]:
        """As if a backup were restored, or somebody with the rights to change CRDs had changed this one."""
        path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/consent/x-kubernetes-validations"
        crd = "voicemodels.voice.sovits.dev"
        self.root.does(*self.root.patch("crd", crd, [{"op": "remove", "path": path}]))
        probe = self.root.patch("voice", voice, {"spec": {"consent": {"holder": "X"}}}, "--dry-run=server")
        self.scene.wait("an API server without the rules", lambda: not self.root.run(*probe).returncode)
        try:
            yield
        finally:
            self.root.does("apply", "--server-side", "--force-conflicts", "-f", str(self.repository / "crds"))
            probe = self.root.patch("voice", voice, {"spec": {"consent": {"holder": "Y"}}}, "--dry-run=server")
            self.scene.wait("the rules again", lambda: bool(self.root.run(*probe).returncode))


def decision(by: str, digest: str, kind: str = "Approved", reason: str = "") -> list[Object]:
    record = {"by": by, "decision": kind, "at": "2026-11-23T06:07:00Z", "digest": digest, "reason": reason}
    return [{"op": "add", "path": "/review/decisions/-", "value": record}]


def an_export(by: str, digest: str) -> list[Object]:
    record = {"by": by, "at": "2026-11-23T06:07:00Z", "digest": digest}
    return [{"op": "add", "path": "/exports/records/-", "value": record}]


def edited_by(name: str, **spec: Any) -> Object:
    return {"metadata": {"annotations": {NAMED: name}}, "spec": spec}


@pytest.fixture(scope="module")
def people(
    scene: Any, tool: Callable[[str], Path], control_plane: Path, repository: Path, tmp_path_factory: Any
) -> Iterator[People]:
    """The chart's policies and roles, and people with them."""
    home = tmp_path_factory.mktemp("helm")
    shown = [flag for name in ("admission-review", "rbac-people") for flag in ("-s", f"templates/{name}.yaml")]
    rendered = subprocess.run(
        [
            tool("helm"),
            "template",
            "voice-operator",
            repository / "charts" / "voice-operator",
            "-n",
            "voice-system",
            "--kube-version",
            "v1.34.4",
            *shown,
        ],
        env=os.environ | {f"HELM_{kind}_HOME": str(home) for kind in ("CACHE", "CONFIG", "DATA")},
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    manifest = home / "people.yaml"
    bindings = [binding(name, role) for name, roles in ROLES.items() for role in roles]
    bindings.append(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "patch-revisions", "namespace": NAMESPACE},
            "rules": [{"apiGroups": ["voice.sovits.dev"], "resources": ["voicerevisions"], "verbs": ["patch"]}],
        }
    )
    manifest.write_text(rendered + "".join(f"---\n{yaml.safe_dump(one)}" for one in bindings))
    found = People(scene, tool("kubectl"), control_plane, repository)
    found.root.does("apply", "-f", str(manifest))
    probe = a_voice("probe", review={"required": True})
    scene.wait("the policies", lambda: found["eve"].run("apply", "--dry-run=server", "-f", "-", body=probe).returncode)
    scene.wait(
        "the roles",
        lambda: not found["eve"].run("apply", "--dry-run=server", "-f", "-", body=a_voice("probe") | {}).returncode,
    )
    yield found
    found.root.does("delete", "-f", str(manifest), "--ignore-not-found")


def binding(user: str, role: str) -> Object:
    kind = "Role" if role == "patch-revisions" else "ClusterRole"
    name = f"{user}-{role}".replace(":", "-")
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    metadata = {"name": name, "namespace": NAMESPACE}
    about = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata}
    return about | {"roleRef": reference, "subjects": [subject]}


def a_voice(name: str, named: str = "", **spec: Any) -> Object:
    known = {
        "language": "en",
        "dataset": {"uri": f"s3://voices/datasets/{NAMESPACE}/{name}", "digest": recordings_digest(name)},
        "consent": {"holder": "Alice A.", "statement": "I agree that my voice is trained and used."},
        "base": "tiny",
    }
    metadata: Object = {"name": name, "namespace": NAMESPACE} | ({"annotations": {NAMED: named}} if named else {})
    return {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceModel",
        "metadata": metadata,
        "spec": known | spec,
    }


@pytest.fixture(scope="module")
def ann(people: People) -> str:
    """The revision of ann: erin asked for it, and it waits for two approvals."""
    people["erin"].does("apply", "-f", "-", body=a_voice("ann", "erin", review={"required": True, "approvals": 2}))
    people.scene.train("ann")
    people.wait_for("ann", "AwaitingReview")
    (name,) = people.revisions("ann")
    return name


@pytest.fixture(scope="module")
def digest(people: People, ann: str) -> str:
    return str(people.get("vrev", ann)["spec"]["artifacts"]["digest"])


# Who asks is named, and nobody loosens a review by the way.


def test_a_voice_with_a_review_names_who_asks_for_it(people: People) -> None:
    review = {"required": True}
    told = people["eve"].refused("apply", "-f", "-", body=a_voice("new", review=review))
    assert 'set its annotation voice.sovits.dev/requested-by to "eve"' in told
    told = people["eve"].refused("apply", "-f", "-", body=a_voice("new", "rita", review=review))
    assert 'set its annotation voice.sovits.dev/requested-by to "eve"' in told


def test_an_editor_changes_nothing_in_somebody_elses_name(people: People, ann: str) -> None:
    eve = people["eve"]
    for change in ({"spec": {"suspend": True}}, edited_by("erin", suspend=True), edited_by("rita", suspend=True)):
        assert 'to "eve", in the same request' in eve.refused(*eve.patch("voice", "ann", change))
    for name in ("eve", "rita", None):
        change = {"metadata": {"annotations": {NAMED: name}}}
        assert "it changes together with the spec" in eve.refused(*eve.patch("voice", "ann", change))


@pytest.mark.parametrize(
    "review",
    [
        pytest.param({"required": False}, id="required"),
        pytest.param({"approvals": 1}, id="approvals"),
        pytest.param({"separation": False}, id="separation"),
        pytest.param(None, id="all of it"),
    ],
)
@pytest.mark.parametrize("name", ["eve", "adam", "erin"])
def test_nobody_lowers(people: People, ann: str, name: str, review: Object | None) -> None:
    person = people[name]
    told = person.refused(*person.patch("voice", "ann", edited_by(name, review=review)))
    assert (
        f"{name} may not loosen spec.review of ann (required, approvals, separation): that takes the verb waive" in told
    )


# Approvals: by whom, of what.


def test_an_editor_approves_nothing(people: People, ann: str, digest: str) -> None:
    eve = people["eve"]
    assert 'cannot patch resource "voicerevisions"' in eve.refused(*eve.patch("vrev", ann, decision("eve", digest)))


def test_the_namespaces_administrator_approves_nothing_and_gives_nobody_the_right(
    people: People, ann: str, digest: str
) -> None:
    adam = people["adam"]
    assert 'cannot patch resource "voicerevisions"' in adam.refused(*adam.patch("vrev", ann, decision("adam", digest)))
    bound = binding("adam", f"{RELEASE}:reviewer")
    assert "attempting to grant RBAC permissions not currently held" in adam.refused("apply", "-f", "-", body=bound)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "approve", "namespace": NAMESPACE},
        "rules": [{"apiGroups": ["voice.sovits.dev"], "resources": ["voicerevisions"], "verbs": ["patch", "approve"]}],
    }
    assert "attempting to grant RBAC permissions not currently held" in adam.refused("apply", "-f", "-", body=role)


def test_who_may_patch_revisions_does_not_approve_without_the_verb(people: People, ann: str, digest: str) -> None:
    pat = people["pat"]
    told = pat.refused(*pat.patch("vrev", ann, decision("pat", digest)))
    assert f"pat may not approve or reject {ann}: the verb approve on voicerevisions is missing" in told
    assert f"bind {RELEASE}:reviewer in the namespace {NAMESPACE}" in told


def test_a_reviewer_writes_no_other_name(people: People, ann: str, digest: str) -> None:
    rita = people["rita"]
    told = rita.refused(*rita.patch("vrev", ann, decision("rolf", digest)))
    assert 'by must be "rita", not "rolf"' in told


def test_a_reviewer_approves_no_other_bundle(people: People, ann: str, digest: str) -> None:
    rita = people["rita"]
    assert f"digest must be {digest}" in rita.refused(*rita.patch("vrev", ann, decision("rita", DIGEST)))


def test_a_program_approves_nothing(people: People, ann: str, digest: str) -> None:
    program = people[f"system:serviceaccount:{NAMESPACE}:ci"]
    told = program.refused(*program.patch("vrev", ann, decision(program.name, digest)))
    assert "is a program; people approve and reject" in told


def test_who_asked_for_a_revision_does_not_approve_it(people: People, ann: str) -> None:
    done = people["erin"].decide("approve", ann)
    assert done.returncode
    assert f"erin asked for {ann} (spec.requestedBy), so somebody else must approve it" in " ".join(done.stderr.split())


def test_a_rejection_says_why(people: People, ann: str, digest: str) -> None:
    rita = people["rita"]
    told = rita.refused(*rita.patch("vrev", ann, decision("rita", digest, "Rejected")))
    assert "a rejection must say why" in told


def test_nobody_makes_a_revision_that_is_approved_already(people: People, ann: str, digest: str) -> None:
    known = people.get("vrev", ann)
    made = {key: known[key] for key in ("apiVersion", "kind", "spec")}
    made |= {"metadata": {"name": "ann-restored", "namespace": NAMESPACE}}
    made |= {"review": {"decisions": [one["value"] for name in ("rita", "rolf") for one in decision(name, digest)]}}
    told = people.root.refused("create", "-f", "-", body=made)
    assert "must be approved again" in told


def test_one_of_two_approvals_is_not_enough(people: People, ann: str, digest: str) -> None:
    done = people["rita"].decide("approve", ann, "--reason", "sounds like Alice")
    assert done.returncode == 0, done.stderr
    assert f"{ann} ({digest}): Approved by rita" in done.stdout
    assert people["rita"].decide("approve", ann).returncode, "a second time"
    people.scene.wait("the count", lambda: people.get("vrev", ann)["status"].get("approvals") == "1/2", SECONDS)
    assert "1 of 2 approvals (rita); nothing is served" in people.wait_for("ann", "AwaitingReview")
    assert "1/2" in people["rita"].does("get", "vrev", ann)
    assert not people.is_served("ann")


@pytest.mark.parametrize("name", ["rolf", "rita"])
def test_an_approval_is_not_taken_away_or_changed(people: People, ann: str, name: str) -> None:
    person = people[name]
    for change in (
        [{"op": "remove", "path": "/review/decisions/0"}],
        [{"op": "replace", "path": "/review/decisions/0/reason", "value": "another"}],
        [{"op": "replace", "path": "/review/decisions/0/by", "value": name + "x"}],
        [{"op": "remove", "path": "/review"}],
    ):
        assert "only grows" in person.refused(*person.patch("vrev", ann, change))


def test_a_reviewer_changes_nothing_but_decisions(people: People, ann: str) -> None:
    for change in (("annotate", "vrev", ann, "voice.sovits.dev/x=y"), ("label", "vrev", ann, "team=a")):
        assert f"rita may add to review.decisions or exports.records of {ann} and change nothing else" in people[
            "rita"
        ].refused(*change)
    finalizers = people["rita"].patch("vrev", ann, {"metadata": {"finalizers": ["example.com/hold"]}})
    assert "and change nothing else" in people["rita"].refused(*finalizers)


# Who takes a bundle out of the store is named, and nobody else can name them.


def test_an_export_carries_the_name_of_who_makes_it_and_the_bundle(people: People, ann: str, digest: str) -> None:
    xena = people["xena"]
    assert 'by must be "xena", not "rita"' in xena.refused(*xena.patch("vrev", ann, an_export("rita", digest)))
    assert f"digest must be {digest}" in xena.refused(*xena.patch("vrev", ann, an_export("xena", DIGEST)))
    xena.does(*xena.patch("vrev", ann, an_export("xena", digest)))
    (record,) = people.get("vrev", ann)["exports"]["records"]
    assert (record["by"], record["digest"]) == ("xena", digest)

    def acts() -> list[Object]:
        log = (people.scene.trainer.store / "audit" / NAMESPACE).glob("*.json")
        found = [json.loads(path.read_bytes())["act"] for path in log]
        return [act for act in found if act["act"] == "Exported" and act["revision"] == ann]

    (act,) = people.scene.wait("its act in the audit log", acts)
    assert (act["by"], act["time"], act["digests"]) == ("xena", record["at"], {"bundle": digest})


def test_nobody_exports_without_the_verb(people: People, ann: str, digest: str) -> None:
    eve = people["eve"]
    assert 'cannot patch resource "voicerevisions"' in eve.refused(*eve.patch("vrev", ann, an_export("eve", digest)))
    for name in ("rita", "pat"):
        told = people[name].refused(*people[name].patch("vrev", ann, an_export(name, digest)))
        assert f"{name} may not export {ann}: the verb export on voicerevisions is missing" in told
        assert f"bind {RELEASE}:exporter in the namespace {NAMESPACE}" in told


def test_an_exporter_changes_nothing_else_and_takes_no_record_away(people: People, ann: str, digest: str) -> None:
    xena = people["xena"]
    told = xena.refused("label", "vrev", ann, "team=a")
    assert f"xena may add to review.decisions or exports.records of {ann} and change nothing else" in told
    assert "may not approve or reject" in xena.refused(*xena.patch("vrev", ann, decision("xena", digest)))
    for change in ([{"op": "remove", "path": "/exports/records/0"}], [{"op": "remove", "path": "/exports"}]):
        assert "only grows" in xena.refused(*xena.patch("vrev", ann, change))


# What waits is not served in any other way.


def test_a_pin_serves_nothing_that_waits(people: People, ann: str) -> None:
    eve = people["eve"]
    eve.does(*eve.patch("voice", "ann", edited_by("eve", serving={"pin": ann})))
    people.scene.wait("the pass", lambda: settled(people, "ann"), SECONDS)
    assert f"{ann} waits for approval" in people.wait_for("ann", "AwaitingReview")
    assert not people.is_served("ann")
    eve.does(*eve.patch("voice", "ann", edited_by("eve", serving={"pin": ""})))


def test_a_review_that_somebody_waived_still_holds_what_was_made_under_it(people: People, ann: str) -> None:
    """The cluster's administrator may loosen it; that counts for what is trained afterwards."""
    root = people.root
    who = json.loads(root.does("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    root.does(*root.patch("voice", "ann", edited_by(who, review={"required": False})))
    people.scene.wait("the pass", lambda: settled(people, "ann"), SECONDS)
    assert f"{ann} waits for approval" in people.wait_for("ann", "AwaitingReview")
    assert not people.is_served("ann")
    root.does(*root.patch("voice", "ann", edited_by(who, review={"required": True})))


def test_a_status_that_somebody_wrote_serves_nothing(people: People, ann: str, digest: str) -> None:
    """As a restored backup has it, or whoever holds rights on statuses."""
    eve, root = people["eve"], people.root
    bundle = {"revision": ann, "uri": people.get("vrev", ann)["spec"]["artifacts"]["uri"], "digest": digest}
    forged = {"status": {"activeRevision": ann, "artifacts": bundle, "server": f"{NAMESPACE}/default"}}
    forged["status"]["loading"] = {
        "server": f"{NAMESPACE}/default",
        "artifacts": bundle,
        "since": "2026-11-23T06:07:00Z",
    }
    change = eve.patch("voice", "ann", forged, "--subresource=status")
    assert 'cannot patch resource "voicemodels/status"' in eve.refused(*change)
    for _ in range(5):
        root.does(*change)
        assert not people.is_served("ann")
        time.sleep(0.3)
    assert f"{ann} waits for approval" in people.wait_for("ann", "AwaitingReview")


def test_a_lost_status_serves_nothing(people: People, ann: str) -> None:
    root = people.root
    root.does(*root.patch("voice", "ann", [{"op": "remove", "path": "/status"}], "--subresource=status"))
    people.wait_for("ann", "AwaitingReview")
    assert not people.is_served("ann")


def test_a_second_replica_serves_nothing(people: People, ann: str, settings_file: Path, tmp_path: Path) -> None:
    """Two that work at once, as around a lost Lease."""
    url = f"http://127.0.0.1:{free_port()}"
    config = yaml.safe_load(settings_file.read_text()) | {"listen": url.removeprefix("http://")}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    client = Client(people.kubeconfig, NAMESPACE)
    second = OperatorProcess(tmp_path / "config.yaml", people.kubeconfig, tmp_path / "log.txt", url)
    second.start()
    try:
        people.wait_for("ann", "AwaitingReview")
        assert "ann" not in {entry["id"].partition("/")[2] for entry in VoiceLists(client).read(url, "default")}
        assert not people.is_served("ann")
    finally:
        second.stop()
        client.close()


def settled(people: People, voice: str) -> bool:
    found = people.get("voice", voice)
    return bool(found["status"].get("observedGeneration") == found["metadata"]["generation"])


def test_a_second_person_lets_it_be_served(people: People, ann: str) -> None:
    assert people["rolf"].decide("approve", ann).returncode == 0
    people.scene.wait("ann", lambda: people.is_served("ann", ann), SECONDS)
    people.scene.wait_until_ready("ann")
    approved = people.scene.user.condition("ann", "Approved")
    assert (approved["status"], approved["reason"]) == ("True", "Approved")
    assert "approved by rita, rolf" in approved["message"]
    assert {"AwaitingReview", "Approved"} <= people.scene.user.event_reasons("ann")


def test_a_rejection_takes_away_what_is_served_and_says_who_and_why(people: People, ann: str) -> None:
    done = people["rita"].decide("reject", ann, "--reason", "it lisps")
    assert done.returncode == 0, done.stderr
    people.scene.wait("silence", lambda: not people.is_served("ann"), 5)
    told = people.wait_for("ann", "ReviewRejected")
    assert "rita rejected it" in told
    assert "it lisps; nothing is served" in told
    assert people.get("vrev", ann)["status"]["review"] == "Rejected"


def test_a_rejected_revision_is_served_by_no_pin(people: People, ann: str) -> None:
    erin = people["erin"]
    erin.does(*erin.patch("voice", "ann", edited_by("erin", serving={"pin": ann})))
    people.scene.wait("the pass", lambda: settled(people, "ann"), SECONDS)
    people.wait_for("ann", "ReviewRejected")
    assert not people.is_served("ann")


# A review that takes too long. One clock runs for a revision, from its creation, whoever has approved it meanwhile.


@pytest.fixture(scope="module")
def cleo(people: People) -> str:
    """The revision of cleo, which waits for two approvals, and is old enough for the shortest time-out."""
    people["erin"].does("apply", "-f", "-", body=a_voice("cleo", "erin", review={"required": True, "approvals": 2}))
    people.scene.train("cleo")
    people.wait_for("cleo", "AwaitingReview")
    (name,) = people.revisions("cleo")
    people.scene.wait("the shortest time-out", lambda: age_of(people, name) > SHORTEST_SECONDS, SHORTEST_SECONDS + 5)
    return name


def age_of(people: People, revision: str) -> float:
    created = people.get("vrev", revision)["metadata"]["creationTimestamp"]
    return (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()


def let_it_end_in(people: People, revision: str, seconds: int) -> None:
    """Set the time-out of cleo so that the review ends in so many seconds; a negative number: it has ended."""
    timeout = f"{int(age_of(people, revision)) + seconds}s"
    eve = people["eve"]
    eve.does(*eve.patch("voice", "cleo", edited_by("eve", review={"timeout": timeout})))


def test_a_restart_does_not_start_the_clock_anew(people: People, cleo: str) -> None:
    assert people["rita"].decide("approve", cleo).returncode == 0
    let_it_end_in(people, cleo, 3600)
    people.scene.wait("the clock", lambda: "until " in people.ready("cleo")["message"], SECONDS)
    told = people.ready("cleo")["message"]
    people.scene.wait("the count", lambda: people.get("vrev", cleo)["status"].get("approvals") == "1/2", SECONDS)
    assert "1 of 2 approvals (rita)" in told
    people.scene.operator.kill()
    people.scene.operator.start()
    eve = people["eve"]
    eve.does(*eve.patch("voice", "cleo", edited_by("eve", source={"commit": "3f2a91c0"})))
    people.scene.wait("the pass", lambda: settled(people, "cleo"), SECONDS)
    assert people.ready("cleo")["message"] == told


def test_a_time_out_that_passes_while_no_operator_runs_is_found(people: People, cleo: str) -> None:
    people.scene.operator.kill()
    let_it_end_in(people, cleo, 0)
    people.scene.operator.start()
    people.wait_for("cleo", "ReviewTimedOut")
    let_it_end_in(people, cleo, 3600)
    people.wait_for("cleo", "AwaitingReview")


def test_a_time_out_passes_beside_one_of_two_approvals_and_says_so(people: People, cleo: str) -> None:
    let_it_end_in(people, cleo, 4)
    told = people.wait_for("cleo", "ReviewTimedOut")  # nobody writes anything: the operator looks when the time is over
    assert "1 of 2 approvals (rita) by " in told
    assert "to go on waiting, raise spec.review.timeout; nothing is served" in told
    assert people.get("vrev", cleo)["status"]["review"] == "TimedOut"
    assert "ReviewTimedOut" in people.scene.user.event_reasons("cleo")
    assert not people.is_served("cleo")


def test_an_approval_after_the_time_out_does_not_count_and_its_giver_is_told(people: People, cleo: str) -> None:
    done = people["rolf"].decide("approve", cleo)
    assert "the review has timed out, so this counts once spec.review.timeout of cleo is raised" in done.stdout
    late = "the approval of rolf does not count: it came after "
    people.scene.wait("the sentence", lambda: late in people.ready("cleo")["message"], SECONDS)
    assert people.ready("cleo")["reason"] == "ReviewTimedOut"
    assert not people.is_served("cleo")


def test_a_longer_time_out_lets_old_and_late_approvals_count(people: People, cleo: str) -> None:
    let_it_end_in(people, cleo, 3600)
    people.scene.wait("cleo", lambda: people.is_served("cleo", cleo), SECONDS)
    people.scene.wait_until_ready("cleo")
    assert "approved by rita, rolf" in people.scene.user.condition("cleo", "Approved")["message"]


def test_a_shorter_time_out_takes_nothing_away_that_is_served(people: People, cleo: str) -> None:
    eve = people["eve"]
    eve.does(*eve.patch("voice", "cleo", edited_by("eve", review={"timeout": f"{SHORTEST_SECONDS}s"})))
    people.scene.wait("the pass", lambda: settled(people, "cleo"), SECONDS)
    assert people.scene.user.condition("cleo", "Approved")["reason"] == "Approved"
    assert people.ready("cleo")["status"] == "True"
    assert people.is_served("cleo", cleo)


# Consent.


@pytest.fixture(scope="module")
def bea(people: People) -> str:
    """The revision of bea, which is served."""
    people["eve"].does("apply", "-f", "-", body=a_voice("bea"))
    people.scene.train("bea")
    return str(people.scene.wait_until_ready("bea"))


def test_the_consent_that_it_was_trained_under_is_recorded(people: People, bea: str) -> None:
    recorded = people.get("vrev", bea)["spec"]["consent"]
    assert recorded == people.get("voice", "bea")["spec"]["consent"]
    assert people.get("vrev", bea)["spec"]["review"] == {"required": False, "approvals": 1, "separation": True}


@pytest.mark.parametrize("name", ["eve", "adam", "olga", ""])
def test_nobody_exchanges_the_holder(people: People, bea: str, name: str) -> None:
    person = people[name]
    told = person.refused(*person.patch("voice", "bea", {"spec": {"consent": {"holder": "Mallory"}}}))
    assert "spec.consent.holder never changes: another person's voice is another VoiceModel" in told


def test_another_holder_is_served_nothing_even_where_the_api_server_does_not_look(people: People, bea: str) -> None:
    root = people.root
    with people.without_validation_of_consents("bea"):
        root.does(*root.patch("voice", "bea", {"spec": {"consent": {"holder": "Mallory"}}}))
        people.scene.wait("silence", lambda: not people.is_served("bea"), SECONDS)
        told = people.wait_for("bea", "HolderChanged")
        assert "it is the voice of Alice A., but spec.consent.holder is Mallory" in told
        root.does(*root.patch("voice", "bea", {"spec": {"consent": {"holder": "Alice A."}}}))
        people.scene.wait("bea", lambda: people.is_served("bea", bea), SECONDS)


def test_a_renewed_consent_brings_the_last_revision_back_and_trains_nothing(people: People, bea: str) -> None:
    olga, jobs = people["olga"], people.scene.user.jobs("bea")
    olga.does(*olga.patch("voice", "bea", {"spec": {"consent": {"expires": "2020-01-01"}}}))
    people.scene.wait("silence", lambda: not people.is_served("bea"), 5)
    assert "expired on 2020-01-01" in people.wait_for("bea", "ConsentExpired")
    eve = people["eve"]
    eve.does(*eve.patch("voice", "bea", {"spec": {"serving": {"pin": bea}}}))
    people.scene.wait("the pass", lambda: settled(people, "bea"), SECONDS)
    assert people.ready("bea")["reason"] == "ConsentExpired", "a pin renews nothing"
    assert not people.is_served("bea")
    eve.does(*eve.patch("voice", "bea", {"spec": {"serving": {"pin": ""}}}))
    olga.does(*olga.patch("voice", "bea", {"spec": {"consent": {"expires": "2099-01-01"}}}))
    people.scene.wait("bea", lambda: people.is_served("bea", bea), 5)
    assert people.scene.user.jobs("bea") == jobs


def test_a_consent_officer_changes_the_consent_alone(people: People, bea: str) -> None:
    olga = people["olga"]
    told = olga.refused(*olga.patch("voice", "bea", {"spec": {"suspend": True}}))
    assert "olga may change spec.consent of bea and nothing else" in told
    told = olga.refused(*olga.patch("voice", "bea", {"spec": {"consent": {"revoked": True}, "language": "ja"}}))
    assert "olga may change spec.consent of bea and nothing else" in told


def test_a_revocation_is_followed_at_once(people: People, bea: str) -> None:
    olga = people["olga"]
    olga.does(*olga.patch("voice", "bea", {"spec": {"consent": {"revoked": True}}}))
    people.scene.wait("silence", lambda: not people.is_served("bea"), 5)
    people.wait_for("bea", "ConsentRevoked")
    marked = "voice.sovits.dev/revoked=true"
    people.scene.wait("the mark", lambda: bea in people.root.does("get", "vrev", "-l", marked, "-o", "name"), SECONDS)
    assert people.get("voice", "bea")["status"]["revokedAt"]


@pytest.mark.parametrize("name", ["eve", "adam", "olga", ""])
def test_nobody_takes_a_revocation_back(people: People, bea: str, name: str) -> None:
    person = people[name]
    for change in ({"revoked": False}, {"revoked": None}, {"revoked": False, "evidence": "s3://voices/new.pdf"}):
        told = person.refused(*person.patch("voice", "bea", {"spec": {"consent": change}}))
        assert "spec.consent.revoked never goes back to false: a new permission is a new VoiceModel" in told


def test_nobody_takes_the_mark_off_a_revision(people: People, bea: str) -> None:
    for name in ("rita", ""):
        told = people[name].refused("label", "vrev", bea, "voice.sovits.dev/revoked-")
        assert "the label voice.sovits.dev/revoked stays" in told


def test_a_revocation_outlives_the_spec_the_status_and_a_pin(people: People, bea: str) -> None:
    root = people.root
    with people.without_validation_of_consents("bea"):
        root.does(*root.patch("voice", "bea", {"spec": {"consent": {"revoked": False}, "serving": {"pin": bea}}}))
        people.scene.wait("the pass", lambda: settled(people, "bea"), SECONDS)
        assert "no edit of spec.consent.revoked takes that back" in people.wait_for("bea", "ConsentRevoked")
        assert not people.is_served("bea")
        root.does(*root.patch("voice", "bea", [{"op": "remove", "path": "/status"}], "--subresource=status"))
        told = people.wait_for("bea", "ConsentRevoked")
        assert "were made under a consent that was revoked" in told
        assert not people.is_served("bea")


def test_a_restart_forgets_none_of_it(people: People, ann: str, bea: str) -> None:
    people.scene.operator.kill()
    people.scene.operator.start()
    for voice, reason in (("ann", "ReviewRejected"), ("bea", "ConsentRevoked")):
        people.wait_for(voice, reason)
        assert not people.is_served(voice)
