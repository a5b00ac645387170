"""Sequences that went wrong once, and need a proxy or another configuration to happen again."""

import time
from typing import Any

import pytest
from tests.faults.lab import RESYNC_SECONDS, REVOCATION_SECONDS, SERVER, Lab
from tests.faults.node import STAGE_LABEL, VOICE_LABEL, Hold
from tests.faults.rules import Cut, Delay, Rule
from tests.support.voices import Object

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

PINNED_BASE = {"uri": "s3://bases/tiny", "digest": "sha256:" + "c" * 64}
OTHER_IMAGES = {"trainer": "mirror.example.com/voice-trainer@sha256:" + "b" * 64, "inference": "voice-inference:next"}
HANDFUL = 30  # requests to the API server that one repair may cost


def a_served_voice(scenario: Any, **settings: Any) -> Lab:
    lab = scenario.lab(**settings)
    lab.apply("served")
    lab.until_ready("served")
    return lab


def revoked_and_gone(scenario: Any, lab: Lab, voice: str = "served") -> None:
    lab.revoke(voice)
    scenario.took(lab.until_gone(voice))


# The list of voices is computed from what is


@pytest.mark.parametrize("nth", range(1, 5))
def test_the_answer_to_the_status_is_lost_at_a_revocation(scenario: Any, nth: int) -> None:
    lab = a_served_voice(scenario)
    lost = Rule(Cut(after=True), where=lambda request: request.target[1::3] == ("voicemodels", "status"), nth=nth)
    with lab.proxy.faults(lost):
        revoked_and_gone(scenario, lab)


def test_every_answer_to_a_status_is_lost_at_a_revocation(scenario: Any) -> None:
    lab = a_served_voice(scenario)
    with lab.proxy.faults(Rule(Cut(after=True), where=lambda request: request.subresource == "status")):
        revoked_and_gone(scenario, lab)


def test_a_list_that_was_overtaken_is_not_kept(scenario: Any) -> None:
    lab = scenario.lab()
    voices = [f"raced{number}" for number in range(8)]
    slow = Rule(Delay(3), verbs=("list",), resources=("voicemodels",))
    with lab.proxy.faults(slow):
        for voice in voices:
            lab.apply(voice)
            time.sleep(0.5)
        lab.seconds_until_each(voices, lambda: lab.are_ready(voices), 120)
        for voice in voices[::2]:
            lab.revoke(voice)
            time.sleep(0.5)
        gone = lab.seconds_until_each(voices[::2], lambda: lab.unlisted(voices), REVOCATION_SECONDS)
    for seconds in gone.values():
        scenario.took(seconds)
    assert lab.unlisted(voices) == {*voices[::2]}


# Removing needs neither base nor store nor a healthy server


def test_a_base_is_renamed_and_a_voice_revoked(scenario: Any) -> None:
    lab = a_served_voice(scenario)
    lab.operator.restart(bases={"small": {"uri": "embedded:tiny"}}, defaultBase="small")
    revoked_and_gone(scenario, lab)


def test_a_base_is_renamed_and_a_voice_revoked_meanwhile(scenario: Any) -> None:
    lab = a_served_voice(scenario)
    assert lab.operator.stop() == 0
    lab.revoke("served")
    lab.operator.restart(bases={"small": {"uri": "embedded:tiny"}}, defaultBase="small")
    scenario.took(lab.seconds_until("the ConfigMap without it", lambda: not lab.config_map_lists("served"), 60))


@pytest.mark.parametrize("text", ["{}", "not JSON", '{"voices": 3}'], ids=["empty", "no JSON", "of another shape"])
def test_the_list_is_edited_by_hand_and_a_voice_revoked(scenario: Any, text: str) -> None:
    lab = a_served_voice(scenario)
    lab.apply("kept")
    lab.until_ready("kept")
    for one in lab.config_maps():
        lab.client.patch("configmaps", one["metadata"]["name"], {"data": {"voices.json": text}})
    revoked_and_gone(scenario, lab)
    scenario.took(lab.seconds_until("the ConfigMap mended", lambda: lab.config_map_lists("kept"), RESYNC_SECONDS + 30))
    assert not lab.config_map_lists("served")


def test_a_servers_resources_are_numbers_and_a_voice_is_revoked(scenario: Any) -> None:
    lab = a_served_voice(scenario)
    lab.client.patch("voiceservers", SERVER, {"spec": {"resources": {"limits": {"cpu": 4}}}})
    revoked_and_gone(scenario, lab)
    scenario.took(lab.seconds_until("the Deployment", lambda: limits_of(lab) == {"cpu": "4"}, 30))


def test_a_server_that_nobody_can_read_and_a_voice_is_revoked(scenario: Any) -> None:
    """The base leaves the configuration and the server's status is damaged, both at once."""
    lab = a_served_voice(scenario)
    lab.client.patch("voiceservers", SERVER, {"status": {"observedGeneration": -1, "voices": None}}, status=True)
    lab.operator.restart(bases={"small": {"uri": "embedded:tiny"}}, defaultBase="small")
    revoked_and_gone(scenario, lab)


def test_a_revocation_passes_four_voices_that_wait_for_the_store(scenario: Any) -> None:
    lab, hold = a_served_voice(scenario), Hold("prepare")
    lab.node.plan = hold
    observed = [f"observed{number}" for number in range(4)]
    for voice in observed:
        lab.apply(voice, dataset={"uri": lab.dataset(voice)})
    with lab.s3.mode("hang"):
        time.sleep(10)
        lab.revoke("served")
        scenario.took(lab.until_gone("served", seconds=5))


# An upgrade trains nothing, and removes what is removed


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"images": OTHER_IMAGES}, id="other images"),
        pytest.param({"bases": {"tiny": PINNED_BASE | {"uri": "s3://bases/copied"}}}, id="a base at another address"),
    ],
)
def test_an_upgrade_trains_nothing_and_unloads_nothing(scenario: Any, settings: dict[str, Any]) -> None:
    lab = scenario.lab(bases={"tiny": PINNED_BASE})
    voices = [f"live{number}" for number in range(3)]
    for voice in voices:
        lab.apply(voice)
    lab.seconds_until_each(voices, lambda: lab.are_ready(voices), 120)
    before = {job["metadata"]["uid"] for job in lab.client.objects("jobs")}
    lab.operator.restart(**settings)
    for _ in range(40):
        assert not lab.unlisted(voices)
        time.sleep(0.5)
    assert {job["metadata"]["uid"] for job in lab.client.objects("jobs")} == before
    scenario.took(lab.seconds_until("all to be Ready", lambda: lab.are_ready(voices) == {*voices}, 60))


def test_what_leaves_the_settings_leaves_the_deployment(scenario: Any) -> None:
    more = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1Gi"}},
    }
    lab = scenario.lab()
    inference = {"port": lab.inference.server_port}
    lab.operator.restart(inference=inference | more, images=images(pullSecrets=["registry"]))
    lab.seconds_until("the Deployment", lambda: template(lab).get("nodeSelector") == {"disk": "fast"}, 30)
    lab.operator.restart(inference=inference, images=images())

    def has_none() -> bool:
        pod = template(lab)
        left = {"nodeSelector", "tolerations", "imagePullSecrets"} & {*pod}
        return not left and not pod["containers"][0]["resources"]

    scenario.took(lab.seconds_until("them to be removed", has_none, 60))


def test_a_server_is_not_ready_before_its_new_pods_are(scenario: Any) -> None:
    lab = a_served_voice(scenario)
    generation = deployment(lab)["metadata"]["generation"]
    lab.node.stop()  # so that no new pod becomes ready
    lab.operator.restart(images=images(inference="voice-inference:next"))
    lab.seconds_until("the rollout", lambda: deployment(lab)["metadata"]["generation"] > generation, 30)
    scenario.took(lab.seconds_until("the server to be not Ready", lambda: not lab.server_is_ready(), 30))
    time.sleep(5)
    assert not lab.server_is_ready()
    assert lab.lists("served")


# Revisions


def test_a_revisions_label_is_removed(scenario: Any) -> None:
    lab = a_served_voice(scenario)
    lab.until_quiet()
    revision = lab.status("served")["activeRevision"]
    since = time.monotonic()
    lab.client.patch("voicerevisions", revision, {"metadata": {"labels": {VOICE_LABEL: None}}})
    time.sleep(10)
    entries = [entry for entry in lab.proxy.entries(since) if entry.request.verb != "watch"]
    lease = [entry for entry in entries if entry.request.resource == "leases"]
    assert len(entries) - len(lease) <= HANDFUL
    labels = lab.client.get("voicerevisions", revision)["metadata"]["labels"]
    assert labels[VOICE_LABEL] == "served", "it is repaired"
    assert lab.lists("served")
    scenario.took(10)


def test_a_revision_that_was_restored_from_a_backup_is_adopted(scenario: Any) -> None:
    lab = a_served_voice(scenario)
    revision = lab.client.get("voicerevisions", lab.status("served")["activeRevision"])
    voice = lab.client.get("voicemodels", "served")
    files = lab.bucket.folder / lab.namespace / "served"
    saved = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    lab.delete("served")
    lab.seconds_until("everything to go", lambda: not lab.remains("served"), 60)

    for path, content in saved.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    lab.client.create("voicerevisions", restored(revision))
    lab.client.create("voicemodels", restored(voice))
    scenario.took(lab.until_ready("served"))
    assert lab.jobs("served") == [], "what is trained is not trained again"
    owner = lab.client.get("voicerevisions", revision["metadata"]["name"])["metadata"]["ownerReferences"][0]["uid"]
    assert owner == lab.client.get("voicemodels", "served")["metadata"]["uid"]


def restored(document: Object) -> Object:
    """The object as docs/people.md wants it restored: new uid, no owners, no status."""
    kept = ("name", "namespace", "labels", "annotations", "finalizers")
    metadata = {key: document["metadata"][key] for key in kept if key in document["metadata"]}
    return {key: document[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}


# Two installations


def test_two_installations_never_delete_each_others_jobs(scenario: Any) -> None:
    lab, hold = scenario.lab(), Hold("prepare")
    lab.node.plan = hold
    lab.apply("wanted")
    lab.until_running("wanted", "prepare")
    seen = {job["metadata"]["uid"] for job in lab.jobs("wanted")}
    other = lab.launch_other_installation("other", images=OTHER_IMAGES, namespace="default")
    for _ in range(60):
        seen |= {job["metadata"]["uid"] for job in lab.client.objects("jobs", STAGE_LABEL)}
        time.sleep(0.5)
    assert len(seen) == 1, "each starts its own Job and deletes the other's"
    assert not [entry for entry in other.proxy.writes() if entry.request.resource == "jobs"]
    hold.release()
    scenario.took(lab.until_ready("wanted"))


def images(**changes: Any) -> dict[str, Any]:
    return {"trainer": "voice-trainer:test", "inference": "voice-inference:test"} | changes


def deployment(lab: Lab) -> Object:
    return lab.client.get("deployments", SERVER)


def template(lab: Lab) -> Object:
    found: Object = deployment(lab)["spec"]["template"]["spec"]
    return found


def limits_of(lab: Lab) -> Any:
    return template(lab)["containers"][0].get("resources", {}).get("limits")
