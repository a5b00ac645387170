"""`python -m tests.faults.watcher`: watches one namespace for what must never happen, past every proxy."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.bucket import Bucket
from tests.faults.client import ApiFailed, Client
from tests.faults.never import Judge, Object, entries_of
from tests.support.voice_list import VoiceLists

POLL_SECONDS = 0.25
WATCH_SECONDS = 300
RETRY_SECONDS = 0.5
SERVER_LABEL = "voice.sovits.dev/server"


@dataclass(frozen=True)
class Assignment:
    """What to watch, as JSON on the command line; ``report`` is written at SIGTERM."""

    kubeconfig: str
    namespace: str
    server: str
    replicas: str  # file with the addresses of the replicas, one a line
    bucket_uri: str
    bucket_folder: str
    bound_seconds: float
    report: str


@dataclass
class Report:
    """What was seen."""

    checks: int = 0  # lists of voices that were read
    entries: int = 0  # voices in them
    jobs: int = 0  # changes of Jobs
    longest_revoked_seconds: float = 0.0
    violations: list[str] = field(default_factory=list)


class Watcher:
    """Two watches and a poll, one checker."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._client = Client(Path(assignment.kubeconfig), assignment.namespace)
        self._lists = VoiceLists(self._client)
        self._bucket = Bucket(assignment.bucket_uri, Path(assignment.bucket_folder))
        self._checker = Judge(assignment.bound_seconds)
        self._report = Report()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Watch until SIGTERM, then write the report."""
        signal.signal(signal.SIGTERM, lambda *_: self._stopped.set())
        for target in (self._follow_jobs, self._follow_voices):
            threading.Thread(target=target, daemon=True).start()
        while not self._stopped.wait(POLL_SECONDS):
            self._poll()
        with self._lock:
            self._report.longest_revoked_seconds = self._checker.longest_revoked_seconds
            self._report.violations = self._checker.violations
            Path(self._assignment.report).write_text(json.dumps(asdict(self._report)))

    def _poll(self) -> None:
        replicas = Path(self._assignment.replicas).read_text().split()
        server = self._assignment.server
        for replica in replicas:
            self._check(replica, lambda replica=replica: self._lists.read(replica, server, timeout=2))
        self._check("the ConfigMap", self._read_config_maps)

    def _check(self, source: str, read: Callable[[], Iterable[Object]]) -> None:
        with self._lock:
            try:
                self._report.entries += self._checker.served(source, read, self._bucket.digest, time.monotonic())
            except (OSError, ApiFailed):
                return  # nobody answers, so nobody is told anything
            self._report.checks += 1

    def _read_config_maps(self) -> list[Object]:
        maps = self._client.objects("configmaps", f"{SERVER_LABEL}={self._assignment.server}")
        documents = [text for one in maps for text in (one.get("data") or {}).values()]
        return [entry for document in documents for entry in entries_of(document)]

    def _follow_jobs(self) -> None:
        def changed(kind: str, job: Object) -> None:
            self._report.jobs += 1
            if kind == "DELETED":
                self._checker.job_deleted(job)
            else:
                self._checker.job_changed(job)

        self._follow("jobs", lambda jobs, _: self._checker.jobs_listed(jobs), changed)

    def _follow_voices(self) -> None:
        def changed(kind: str, voice: Object) -> None:
            if kind == "DELETED":
                self._checker.voice_deleted(voice, time.monotonic())
            else:
                self._checker.voice_updated(voice, time.monotonic())

        self._follow("voicemodels", self._checker.voices_listed, changed)

    def _follow(
        self,
        kind: str,
        listed: Callable[[Iterable[Object], float], None],
        changed: Callable[[str, Object], None],
    ) -> None:
        """List and watch for ever; the API server may restart."""
        while True:
            try:
                page: Any = self._client.request("GET", self._client.path(kind))
                with self._lock:
                    listed(page["items"], time.monotonic())
                for event in self._client.watch(kind, page["metadata"]["resourceVersion"], WATCH_SECONDS):
                    if event["type"] in {"ADDED", "MODIFIED", "DELETED"}:
                        with self._lock:
                            changed(event["type"], event["object"])
            except (ApiFailed, OSError, ValueError):
                time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    Watcher(Assignment(**json.loads(sys.argv[1]))).run()
