"""What servers are told, against a real API server: whatever was missed, edited, renamed or deleted meanwhile."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from tests.support.voices import make_server

from voice_operator.reconcile.late_pods import GRACE_SECONDS

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NAMESPACE = "operator-tests"
LABEL = "voice.sovits.dev/voice-model"
MARK = "voice.sovits.dev/list-generation"
SECONDS = 5.0  # for a voice to be out of the list
VOICES = ("anna", "berta", "carla", "dora", "elsa")


class Serving:
    """The scene, and what these tests do in it."""

    def __init__(self, scene: Any, config: dict[str, Any]) -> None:
        self.scene = scene
        self.user = scene.user
        self.config = config

    def restart(self, meanwhile: Callable[[], None] = lambda: None, **settings: Any) -> None:
        """Stop the operator, and start it with some settings changed."""
        assert self.scene.operator.stop() == 0
        meanwhile()
        self.config |= settings
        self.scene.operator.config.write_text(yaml.safe_dump(self.config))
        self.scene.operator.start()

    def revoke(self, voice: str) -> None:
        self.user.patch("voicemodel", voice, {"spec": {"consent": {"revoked": True}}})

    def listed(self, server: str = "default") -> dict[str, Any]:
        """The entries in the server's ConfigMap, by voice."""
        document = json.loads(self.user.get("configmap", f"{server}-voices")["data"]["voices.json"])
        return {entry["id"].removeprefix(f"{NAMESPACE}/"): entry for entry in document["voices"]}

    def wait_for_list(
        self, what: str, holds: Callable[[dict[str, Any]], Any], server: str = "default", seconds: float = SECONDS
    ) -> None:
        self.scene.wait(what, lambda: holds(self.listed(server)), seconds)

    def make_ready(self, server: str = "default") -> None:
        """Let each pod be up that is not, until all are of the Deployment's present template."""

        def rolled_out() -> bool:
            for pod in self.user.objects("pods", f"voice.sovits.dev/server={server}"):
                conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
                if conditions.get("Ready") != "True":
                    self._raise_pod(pod["metadata"]["name"])
            item = self.user.get("deployment", server)
            status, replicas = item.get("status") or {}, item["spec"]["replicas"]
            counts = [status.get(key) for key in ("updatedReplicas", "readyReplicas", "replicas")]
            return status.get("observedGeneration") == item["metadata"]["generation"] and counts == [replicas] * 3

        self.scene.wait(f"the rollout of {server}", rolled_out)

    def _raise_pod(self, name: str) -> None:
        """Report a pod as up; one that the rollout has deleted meanwhile is nobody's concern."""
        up = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        here = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        status = json.dumps({"status": {"phase": "Running", "conditions": [up]} | here})
        where = ("-n", NAMESPACE, "--subresource=status", "--type=merge")
        self.user.run("patch", "pod", name, *where, "-p", status, check=False)

    def server_condition(self, kind: str = "Ready", server: str = "default") -> dict[str, Any]:
        item = self.user.get("voiceserver", server)
        conditions = {condition["type"]: condition for condition in (item.get("status") or {}).get("conditions", ())}
        found: dict[str, Any] = conditions.get(kind, {"status": "", "reason": "", "observedGeneration": -1})
        return found | {"isCurrent": found["observedGeneration"] == item["metadata"]["generation"]}

    def pod_of(self, server: str = "default") -> dict[str, Any]:
        pod: dict[str, Any] = self.user.get("deployment", server)["spec"]["template"]["spec"]
        return pod

    def train(self, voice: str, **spec: Any) -> str:
        """Make a voice, or a new revision of it, and return the revision's name once it is published."""
        before = {item["metadata"]["name"] for item in self.user.objects("voicerevisions", f"{LABEL}={voice}")}
        if spec:
            earlier = self.user.status(voice).get("inputHash")
            self.user.patch("voicemodel", voice, {"spec": spec})
            self.scene.wait("the new input", lambda: self.user.status(voice).get("inputHash") not in {None, earlier})
        else:
            self.scene.apply(voice)
        self.scene.train(voice)
        new: set[str] = self.scene.wait(
            "the revision",
            lambda: {i["metadata"]["name"] for i in self.user.objects("voicerevisions", f"{LABEL}={voice}")} - before,
        )
        return new.pop()


@pytest.fixture(scope="module")
def serving(scene: Any) -> Iterator[Serving]:
    """Five voices that are served, by an operator that lists everything every two seconds."""
    config = scene.operator.config.read_text()
    found = Serving(scene, yaml.safe_load(config))
    inference = found.config["inference"]
    found.restart(resyncSeconds=2, inference=inference | {"nodeSelector": {"pool": "voices"}})
    found.make_ready()
    for voice in VOICES:
        found.train(voice)
    for voice in VOICES:
        scene.wait_until_ready(voice)
    yield found
    for voice in VOICES:
        found.user.delete("voicemodel", voice)
    scene.wait("them to go", lambda: not any(found.user.exists("voicemodel", voice) for voice in VOICES), seconds=60)
    scene.inference.servers, scene.inference.fails = ["default"], {}
    assert scene.operator.stop() == 0
    scene.operator.config.write_text(config)
    scene.operator.start()
    found.make_ready()


def test_what_happened_while_nobody_watched_is_out_of_the_list_at_once(serving: Serving) -> None:
    """A revocation whose status was written but not the list, a deletion, an end, a base that left the settings."""
    user = serving.user

    def meanwhile() -> None:
        serving.revoke("anna")
        status = {"phase": "Failed", "artifacts": None, "server": None, "activeRevision": None}
        user.patch("voicemodel", "anna", {"status": status}, status=True)
        user.delete("voicemodel", "berta")
        user.patch("voicemodel", "carla", {"spec": {"consent": {"expires": "2026-01-01"}}})
        assert serving.listed().keys() >= {"anna", "berta", "carla", "dora"}

    serving.restart(meanwhile, bases={"renamed": {"uri": "embedded:tiny"}}, defaultBase="renamed")
    serving.wait_for_list("them to leave", lambda voices: not voices.keys() & {"anna", "berta", "carla"})
    assert serving.listed().keys() >= {"dora", "elsa"}, "those whose permission holds stay, whatever became of the base"
    serving.scene.wait("the reason", lambda: serving.server_condition()["reason"] == "BaseNotFound")


def test_a_voice_is_revoked_after_its_servers_base_left_the_settings(serving: Serving) -> None:
    serving.user.patch("voicemodel", "carla", {"spec": {"consent": {"expires": None}}})
    serving.wait_for_list("its return", lambda voices: "carla" in voices, seconds=30)  # nobody is harmed by a late one
    serving.revoke("carla")
    serving.wait_for_list("its end", lambda voices: "carla" not in voices)


def test_what_leaves_the_settings_leaves_the_deployment(serving: Serving) -> None:
    assert serving.pod_of()["nodeSelector"] == {"pool": "voices"}
    inference = {key: value for key, value in serving.config["inference"].items() if key != "nodeSelector"}
    bases = {"tiny": {"uri": "embedded:tiny"}, "other": {"uri": "embedded:other"}}
    serving.restart(bases=bases, defaultBase="tiny", inference=inference)
    serving.scene.wait("the Deployment", lambda: "nodeSelector" not in serving.pod_of())
    serving.make_ready()
    serving.scene.wait("the server", lambda: serving.server_condition()["status"] == "True")


def test_a_server_is_ready_when_its_pods_are_of_the_present_template(serving: Serving) -> None:
    """A number where others write text, which once stopped server and voices: ``cpu: 4``."""
    user = serving.user
    user.patch("voiceserver", "default", {"spec": {"resources": {"limits": {"cpu": 4}}}})
    serving.scene.wait(
        "the Deployment", lambda: serving.pod_of()["containers"][0]["resources"] == {"limits": {"cpu": "4"}}
    )
    serving.scene.wait("its status", lambda: serving.server_condition()["isCurrent"])
    assert serving.server_condition()["reason"] == "RollingOut"
    user.patch("voicemodel", "dora", {"spec": {"consent": {"expires": "2020-01-01"}}})
    serving.wait_for_list("the voice without consent to leave", lambda voices: "dora" not in voices)
    time.sleep(2)
    assert serving.server_condition()["status"] == "False", "as long as no new pod is up"
    serving.make_ready()
    serving.scene.wait("the server", lambda: serving.server_condition()["status"] == "True")
    user.patch("voicemodel", "dora", {"spec": {"consent": {"expires": None}}})
    serving.scene.wait_until_ready("dora")


def test_a_list_that_was_edited_by_hand_is_repaired(serving: Serving) -> None:
    written = serving.user.get("configmap", "default-voices")
    edited = written["data"]["voices.json"].replace("dora", "mallory")
    serving.user.patch("configmap", "default-voices", {"data": {"voices.json": edited, "more": "x"}})
    serving.scene.wait(
        "the repair", lambda: set(serving.user.get("configmap", "default-voices")["data"]) == {"voices.json"}, SECONDS
    )
    assert serving.listed().keys() >= {"dora", "elsa"}
    serving.user.run("delete", "configmap", "default-voices", "-n", NAMESPACE)
    serving.scene.wait("another one", lambda: serving.user.exists("configmap", "default-voices"), SECONDS)
    before = json.loads(written["data"]["voices.json"])["generation"]
    after = json.loads(serving.user.get("configmap", "default-voices")["data"]["voices.json"])["generation"]
    assert after > before, "pods take a list only for a newer one"


def test_the_list_has_the_last_day_and_an_end_in_the_past_counts_at_once(serving: Serving) -> None:
    serving.user.patch("voicemodel", "dora", {"spec": {"consent": {"expires": "2999-12-31"}}})
    serving.wait_for_list("the day", lambda voices: voices["dora"].get("expires") == "2999-12-31")
    serving.user.patch("voicemodel", "dora", {"spec": {"consent": {"expires": "2026-01-01"}}})
    serving.wait_for_list("its end", lambda voices: "dora" not in voices)
    serving.user.patch("voicemodel", "dora", {"spec": {"consent": {"expires": None}}})
    serving.scene.wait_until_ready("dora")


def test_the_kubelet_of_a_pod_that_hears_nothing_is_asked_to_look_at_the_mounted_list(serving: Serving) -> None:
    """Writing the annotation is what a kubelet reacts to; there is none here."""
    user, inference = serving.user, serving.scene.inference
    serving.make_ready()
    serving.scene.apply("gloria")
    serving.scene.train("gloria")
    serving.scene.wait_until_ready("gloria")

    def pods() -> list[Any]:
        found = user.objects("pods", "voice.sovits.dev/server=default")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def marks() -> set[str]:
        return {(pod["metadata"].get("annotations") or {}).get(MARK, "") for pod in pods()}

    time.sleep(GRACE_SECONDS + 2)
    before, specs = marks(), [pod["spec"] for pod in pods()]
    inference.is_cut_off = True
    try:
        serving.revoke("gloria")
        serving.wait_for_list("the list", lambda voices: "gloria" not in voices)
        document = json.loads(user.get("configmap", "default-voices")["data"]["voices.json"])
        wanted = {str(document["generation"])}
        serving.scene.wait("the marks", lambda: marks() == wanted)
        assert before != wanted
        versions = [pod["metadata"]["resourceVersion"] for pod in pods()]
        time.sleep(GRACE_SECONDS + 2)
        assert [pod["metadata"]["resourceVersion"] for pod in pods()] == versions, "once"
        assert [pod["spec"] for pod in pods()] == specs
    finally:
        inference.is_cut_off = False
    serving.scene.apply("hana")
    serving.scene.train("hana")
    serving.scene.wait_until_ready("hana")
    time.sleep(GRACE_SECONDS + 2)
    assert marks() == wanted, "a pod that follows the list is not marked"


def test_a_revision_that_lost_its_label_gets_it_back_for_a_handful_of_requests(serving: Serving) -> None:
    user, operator = serving.user, serving.scene.operator
    revision = user.status("dora")["activeRevision"]
    time.sleep(3)
    passes = operator.metric("controller_runtime_reconcile_total", controller="voicemodel")
    writes = written(operator)
    user.run("label", "vrev", revision, "-n", NAMESPACE, f"{LABEL}-")
    serving.scene.wait("the label", lambda: user.get("vrev", revision)["metadata"]["labels"].get(LABEL) == "dora")
    time.sleep(5)
    assert written(operator) - writes <= 5
    assert operator.metric("controller_runtime_reconcile_total", controller="voicemodel") - passes <= 20
    assert "dora" in serving.listed()
    serving.scene.wait_until_ready("dora")


def written(operator: Any) -> float:
    """How many requests have changed something; leases are renewed all the time."""
    return float(
        sum(
            sample.value
            for sample in operator.metrics()
            if sample.name == "rest_client_requests_total"
            and sample.labels["verb"] not in {"get", "list", "watch"}
            and sample.labels["resource"] != "leases"
        )
    )


def test_a_revision_of_an_earlier_object_of_the_same_voice_is_adopted(serving: Serving) -> None:
    """As after the restore of a backup: same names, other UIDs."""
    user, uid = serving.user, serving.user.get("voicemodel", "dora")["metadata"]["uid"]
    revision = user.status("dora")["activeRevision"]
    stand_in = user.get("configmap", "kube-root-ca.crt")["metadata"]  # exists, so that the garbage collector waits
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": stand_in["uid"]}
    user.patch("vrev", revision, {"metadata": {"ownerReferences": [owner], "labels": {LABEL: None}}})

    def owners() -> list[str]:
        return [owner["uid"] for owner in user.get("vrev", revision)["metadata"].get("ownerReferences", ())]

    serving.scene.wait("the adoption", lambda: "dora" not in serving.listed() or owners() == [uid])
    for _ in range(10):
        assert "dora" in serving.listed(), "what is served stays served"
        time.sleep(0.2)
    assert serving.scene.wait_until_ready("dora") == revision
    assert len(user.jobs("dora")) == 3, "nothing is trained again"


def test_a_new_revision_that_fails_to_load_displaces_nothing(serving: Serving) -> None:
    user, inference = serving.user, serving.scene.inference
    old = serving.scene.wait_until_ready("elsa")
    inference.fails = AllBut(old, "elsa")
    new = serving.train("elsa", training={"seed": 2})
    serving.scene.wait("the reason", lambda: user.condition("elsa", "Ready")["reason"] == "LoadFailed")
    entry = serving.listed()["elsa"]
    assert (entry["revision"], entry["next"]["revision"]) == (old, new)
    assert (
        f"cannot load {new}: sha256 differs; {old} is served until then" in user.condition("elsa", "Ready")["message"]
    )
    assert user.condition("elsa", "Serving")["status"] == "True"
    inference.fails = {}
    serving.scene.wait("the new one", lambda: user.status("elsa").get("activeRevision") == new)
    serving.wait_for_list("the list", lambda voices: voices["elsa"]["revision"] == new and "next" not in voices["elsa"])


class AllBut(dict[str, str]):
    """An error for every revision of a voice but one."""

    def __init__(self, old: str, voice: str) -> None:
        super().__init__()
        self._old, self._voice = old, voice

    def get(self, key: str, default: Any = None) -> Any:
        refused = key.startswith(f"{self._voice}-") and key != self._old
        return "sha256 differs" if refused else default


def test_a_revision_of_another_base_waits_until_the_server_has_it(serving: Serving) -> None:
    user = serving.user
    old = serving.scene.wait_until_ready("elsa")
    new = serving.train("elsa", base="other")
    serving.scene.wait("the verdict", lambda: user.condition("elsa", "Ready")["reason"] == "BaseMismatch")
    assert user.condition("elsa", "Ready")["message"].endswith(f"{old} stays served")
    assert serving.listed()["elsa"]["revision"] == old
    user.patch("voiceserver", "default", {"spec": {"base": "other"}})
    serving.scene.wait("the new one", lambda: user.status("elsa").get("activeRevision") == new)
    serving.wait_for_list("its list", lambda voices: "base" not in voices["elsa"])
    assert serving.listed()["dora"]["base"]["name"] == "tiny", "others are served from their own base meanwhile"
    user.patch("voiceserver", "default", {"spec": {"base": "tiny"}})
    serving.wait_for_list("the way back", lambda voices: "base" not in voices["dora"])


def test_a_voice_that_moves_is_served_where_it_was_until_the_other_server_has_it(serving: Serving) -> None:
    user = serving.user
    user.patch("voicemodel", "dora", {"spec": {"serving": {"server": "second"}}})
    serving.scene.wait("the reason", lambda: user.condition("dora", "Ready")["reason"] == "ServerNotFound")
    assert "dora" in serving.listed()
    user.apply(make_server("second", NAMESPACE))
    serving.scene.wait("the list", lambda: user.exists("configmap", "second-voices"))
    serving.wait_for_list("the second server to load it", lambda voices: "dora" in voices, "second")
    time.sleep(2)
    assert "dora" in serving.listed(), "no pod of the second is up"
    serving.scene.inference.servers.append("second")
    serving.make_ready("second")
    serving.scene.wait("the move", lambda: user.status("dora").get("server") == f"{NAMESPACE}/second")
    serving.wait_for_list("its end on the first", lambda voices: "dora" not in voices)
    serving.scene.wait_until_ready("dora")


def test_the_voices_of_a_deleted_server_are_not_ready_at_once(serving: Serving) -> None:
    serving.user.delete("voiceserver", "second")
    serving.scene.wait("the verdict", lambda: serving.user.condition("dora", "Ready")["status"] == "False", SECONDS)
    assert serving.user.condition("dora", "Ready")["reason"] == "ServerNotFound"
    assert serving.user.condition("dora", "Serving")["status"] == "False"
    serving.user.patch("voicemodel", "dora", {"spec": {"serving": {"server": "default"}}})
    serving.scene.wait_until_ready("dora")


def test_a_server_that_gets_a_certificate_changes_its_port_and_its_address(serving: Serving) -> None:
    user = serving.user

    def shown() -> tuple[list[int], list[str], str | None]:
        (container,) = serving.pod_of("secure")["containers"]
        probe = container["readinessProbe"]["httpGet"]
        ports = [port["port"] for port in user.get("service", "secure")["spec"]["ports"]]
        status = user.get("voiceserver", "secure").get("status") or {}
        return ports, [probe["scheme"], *(port["name"] for port in container["ports"])], status.get("endpoint")

    host = f"secure.{NAMESPACE}.svc"
    user.apply(make_server("secure", NAMESPACE, tlsSecret="voice-tls"))
    serving.scene.wait("the Deployment", lambda: user.exists("deployment", "secure"))
    secured = [443], ["HTTPS", "https"], f"https://{host}"
    serving.scene.wait("the server with a certificate", lambda: shown() == secured)
    user.patch("voiceserver", "secure", {"spec": {"tlsSecret": None}})
    serving.scene.wait("plain HTTP", lambda: shown() == ([80], ["HTTP", "http"], f"http://{host}"))
    user.patch("voiceserver", "secure", {"spec": {"tlsSecret": "voice-tls"}})
    serving.scene.wait("the certificate again", lambda: shown() == secured)
    user.delete("voiceserver", "secure")
