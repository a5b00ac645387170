"""The caches of all kinds that the operator reads: passes over voices and servers ask these, not the API server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voice_operator.cluster.cache import Cache, Groups, ObjectKey, OnChange
from voice_operator.cluster.kube import DEPLOYMENTS, JOBS, PODS, WORKLOADS, Kube, Object
from voice_operator.cluster.objects import lean, pack, revision_record, trimmed, unmanaged, unpack, voice_record
from voice_operator.cluster.reflector import Reflector
from voice_operator.cluster.workloads import JOB_UID, QueueState, lean_workload, moved, place
from voice_operator.manifests.labels import SERVER, VOICE_MODEL
from voice_operator.reconcile.desired import VoiceRecord
from voice_operator.reconcile.names import KindName
from voice_operator.reconcile.observed import RevisionRecord

JOB_NAME = "batch.kubernetes.io/job-name"


@dataclass(frozen=True)
class Revision:
    """A VoiceRevision in its cache: which voice it is for, by its spec and not by its label, and the packed object."""

    voice: ObjectKey
    record: RevisionRecord | None  # None: it does not match the CRD
    packed: bytes


class Caches:
    """What is known of the cluster. Own kinds are fed by kopf's watches, children by reflectors, all by relists."""

    def __init__(
        self,
        *,
        on_voice: OnChange[VoiceRecord] | None = None,
        on_revision: OnChange[Revision] | None = None,
        on_server: OnChange[Object] | None = None,
        on_child: Callable[[Object], None] = lambda _: None,
    ) -> None:
        def child_changed(_: ObjectKey, old: Object | None, new: Object | None) -> None:
            on_child(new or old or {})

        def workload_changed(key: ObjectKey, old: Object | None, new: Object | None) -> None:
            child_changed(key, old, new)
            for one in moved(old, new, self.workloads.group(_queue_of(new or old or {}))):
                on_child(one)

        self.voices: Cache[VoiceRecord] = Cache(
            voice_record, groups=lambda voice: (*voice.servers, _of(voice.namespace)), on_change=on_voice
        )
        self.revisions: Cache[Revision] = Cache(_revision, groups=lambda one: (one.voice,), on_change=on_revision)
        self.servers: Cache[Object] = Cache(lean, on_change=on_server)
        self.jobs: Cache[Object] = Cache(trimmed, groups=_by(VOICE_MODEL), on_change=child_changed)
        self.stage_pods: Cache[Object] = Cache(trimmed, groups=_by(JOB_NAME), on_change=child_changed)
        self.server_pods: Cache[Object] = Cache(trimmed, groups=_by(SERVER), on_change=child_changed)
        self.workloads: Cache[Object] = Cache(lean_workload, groups=_of_workload, on_change=workload_changed)
        self.deployments: Cache[Object] = Cache(unmanaged, on_change=child_changed)

    def own(self, kind: KindName) -> Cache[Any]:
        """Return the cache of one of our own kinds."""
        caches: dict[KindName, Cache[Any]] = {
            "VoiceModel": self.voices,
            "VoiceRevision": self.revisions,
            "VoiceServer": self.servers,
        }
        return caches[kind]

    def voice(self, namespace: str, name: str) -> Object | None:
        """Return a VoiceModel."""
        record = self.voices.get(namespace, name)
        return None if record is None else unpack(record.packed)

    def place_of(self, voice: VoiceRecord) -> int:
        """Return a voice's number among those of its namespace, the oldest first."""
        others = self.voices.group(_of(voice.namespace))
        return sum((one.created, one.uid) <= (voice.created, voice.uid) for one in others if not one.deleting)

    def voices_of(self, namespace: str) -> list[VoiceRecord]:
        """Return what is kept of the VoiceModels of a namespace, by name."""
        return self.voices.group(_of(namespace))

    def revision(self, namespace: str, name: str) -> Object | None:
        """Return a VoiceRevision."""
        found = self.revisions.get(namespace, name)
        return None if found is None else unpack(found.packed)

    def record_of(self, voice: str, revision: str) -> RevisionRecord | None:
        """Return what a VoiceRevision of a voice (namespace/name) records; None: there is none that can be read."""
        namespace, _, name = voice.partition("/")
        found = self.revisions.get(namespace, revision)
        return found.record if found is not None and found.voice == (namespace, name) else None

    def revisions_of(self, namespace: str, voice: str) -> list[Object]:
        """Return the VoiceRevisions of a voice, by name."""
        return [unpack(one.packed) for one in self.revisions.group((namespace, voice))]

    def jobs_of(self, namespace: str, voice: str) -> list[Object]:
        """Return the stage Jobs of a voice, by name."""
        return self.jobs.group((namespace, voice))

    def pods_of_job(self, namespace: str, job: str) -> list[Object]:
        """Return the pods of a stage Job, by name."""
        return self.stage_pods.group((namespace, job))

    def queue_of(self, job: Object) -> QueueState:
        """Return what Kueue says of a Job."""
        metadata = job["metadata"]
        found = self.workloads.group((metadata["namespace"], "job", metadata["uid"]))
        if not found:
            return QueueState()
        return QueueState(found[-1], place(found[-1], self.workloads.group(_queue_of(found[-1]))))

    def pods_of_server(self, namespace: str, server: str) -> list[Object]:
        """Return the pods of a VoiceServer, by name."""
        return self.server_pods.group((namespace, server))

    def reflectors(self, kube: Kube, namespaces: tuple[str, ...], *, kueue: bool = False) -> list[Reflector]:
        """Return the reflectors of the children: one for each kind, label and namespace (or one for all of these).

        ``kueue`` adds its Workloads, which may come later than the operator.
        """
        watched = (
            (JOBS, VOICE_MODEL, self.jobs),
            (PODS, VOICE_MODEL, self.stage_pods),
            (PODS, SERVER, self.server_pods),
            (DEPLOYMENTS, SERVER, self.deployments),
        )
        where = namespaces or (None,)
        children = [
            Reflector(kube, resource, {label: None}, cache, namespace)
            for resource, label, cache in watched
            for namespace in where
        ]
        workloads = [
            Reflector(kube, WORKLOADS, {JOB_UID: None}, self.workloads, namespace, optional=True)
            for namespace in where
            if kueue
        ]
        return children + workloads


def _of(namespace: str) -> ObjectKey:
    """Return the group of all voices of a namespace; groups of servers are texts."""
    return (namespace, "")


def _revision(item: Object, _: Revision | None) -> Revision:
    voice = str((item.get("spec") or {}).get("voiceModel", ""))
    return Revision((item["metadata"]["namespace"], voice), revision_record(item), pack(item))


def _of_workload(workload: Object) -> list[tuple[str, str, str]]:
    """Return the groups of a Workload: that of its Job, and that of its LocalQueue."""
    job = (workload["metadata"]["namespace"], "job", workload["metadata"]["labels"].get(JOB_UID, ""))
    return [group for group in (job, _queue_of(workload)) if group[-1]]


def _queue_of(workload: Object) -> tuple[str, str, str]:
    return workload["metadata"]["namespace"], "queue", workload["spec"]["queueName"] or ""


def _by(label: str) -> Groups[Object]:
    """Return a function that groups objects by namespace and the value of a label."""

    def groups(item: Object) -> list[ObjectKey]:
        metadata = item["metadata"]
        value = (metadata.get("labels") or {}).get(label)
        return [(metadata["namespace"], value)] if value else []

    return groups
