"""An installation with two tenants, as an administrator makes one who follows SECURITY.md."""

import base64
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dev.operator_process import OperatorProcess
from dev.ports import free_port
from minio import Minio
from tests.chart.conftest import Chart
from tests.faults.bucket import Bucket
from tests.faults.client import ApiFailed, Client
from tests.faults.node import Node, Outcome
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY
from tests.support.speech_server import SERVER_SECONDS
from tests.support.voice_list import VoiceLists
from tests.support.voices import Object, make_voice
from tests.support.waiting import wait_for

SYSTEM, TEAM_A, TEAM_B = "voice-system", "team-a", "team-b"
STORAGE = "s3://voices"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVISION_LABEL = "voice.sovits.dev/voice-model"


class Installation:
    """Chart, control plane, store, the operator's process, and the nodes of three namespaces."""

    def __init__(self, admin: Path, chart: Chart, folder: Path, s3_port: int, bucket: Path) -> None:
        self.folder = folder
        self.bucket = Bucket(STORAGE, bucket / "voices")
        self.s3_address = f"127.0.0.1:{s3_port}"
        self.operator_url = f"http://127.0.0.1:{free_port()}"
        self.inference_port = free_port()
        self.operator: OperatorProcess
        self._admin, self._chart = admin, chart
        self.held: set[str] = set()  # voices whose stage pods run on
        self._clients: dict[tuple[str, str], Client] = {}
        self.nodes = {name: Node(self.administrator(name), self.bucket) for name in (SYSTEM, TEAM_A, TEAM_B)}

    # Who acts

    def administrator(self, namespace: str) -> Client:
        """An administrator of the cluster."""
        return self.person("", namespace)

    def person(self, name: str, namespace: str) -> Client:
        """Somebody with the rights that the API server's RBAC gives to the name, and with no others."""
        if (name, namespace) not in self._clients:
            headers = {"Impersonate-User": name} if name else {}
            self._clients[name, namespace] = Client(self._admin, namespace, headers)
        return self._clients[name, namespace]

    def s3(self, owner: str) -> Minio:
        """The store, with the keys of a namespace."""
        return Minio(self.s3_address, access_key=owner, secret_key=f"{owner}-secret", secure=False, region="us-east-1")

    # How it is made

    def prepare(self, values: Mapping[str, Any]) -> None:
        """Namespaces, people, keys, and the chart."""
        admin = self.administrator(SYSTEM)
        for name in (SYSTEM, TEAM_A, TEAM_B):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            admin.request("POST", admin.path("namespaces"), body)
        for name in (SYSTEM, TEAM_A, TEAM_B):
            self._give_keys(name)
        for person, namespace, role in (
            ("ada", TEAM_A, "edit"),
            ("bob", TEAM_B, "edit"),
            ("olga", TEAM_A, "admin"),
            ("oskar", TEAM_B, "admin"),
        ):
            self._bind(namespace, person, role)
        for person, namespace in (("olga", TEAM_A), ("oskar", TEAM_B), ("velero", TEAM_A), ("velero", TEAM_B)):
            self._own_the_group(namespace, person)
        self.helm("install", values)

    def helm(self, verb: str, values: Mapping[str, Any]) -> None:
        """Install or upgrade."""
        where = ("--kubeconfig", self._admin, "--namespace", SYSTEM)
        done = self._chart.run(verb, "voice-operator", self._chart.folder, *where, values=dict(values))
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start nodes and operator; returns when the operator is ready."""
        for node in self.nodes.values():
            node.plan = lambda pod: None if pod.voice in self.held else Outcome()
            node.start()
        admin = self.administrator(SYSTEM)
        config = yaml.safe_load(admin.get("configmaps", "voice-operator")["data"]["config.yaml"])
        config |= {"listen": self.operator_url.removeprefix("http://"), "operatorUrl": self.operator_url}
        config["inference"]["port"] = self.inference_port
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        environment = {**self.store_environment("operator"), "POD_NAMESPACE": SYSTEM, "POD_NAME": "voice-operator-0"}
        log, flags = self.folder / "operator.log", self._flags(admin)
        self.operator = OperatorProcess(path, self._account(admin), log, self.operator_url, environment, flags=flags)
        self.operator.start()

    def stop(self) -> list[str]:
        """Stop; return what went wrong beside the tests."""
        wrong = []
        if self.operator.stop():
            wrong.append(self.operator.log.read_text()[-2000:])
        for node in self.nodes.values():
            node.stop()
            wrong += [repr(error) for error in node.errors]
        for client in self._clients.values():
            client.close()
        return wrong

    def store_environment(self, owner: str) -> dict[str, str]:
        """The variables of a process that uses the keys of somebody."""
        return {
            "AWS_ENDPOINT_URL_S3": f"http://{self.s3_address}",
            "AWS_ACCESS_KEY_ID": owner,
            "AWS_SECRET_ACCESS_KEY": f"{owner}-secret",
        }

    def _give_keys(self, namespace: str) -> None:
        owner = "operator" if namespace == SYSTEM else namespace
        keys = {"AWS_ACCESS_KEY_ID": owner, "AWS_SECRET_ACCESS_KEY": f"{owner}-secret"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": namespace}}
        self.administrator(namespace).create("secrets", secret | {"stringData": keys})

    def _bind(self, namespace: str, person: str, role: str, kind: str = "ClusterRole") -> None:
        group = "rbac.authorization.k8s.io"
        body = {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{person}-{role}", "namespace": namespace},
            "roleRef": {"apiGroup": group, "kind": kind, "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": person}],
        }
        self.administrator(namespace).request("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", body)

    def _own_the_group(self, namespace: str, person: str) -> None:
        """Give all rights on all our kinds, statuses included: what `*` in a Role of a namespace's owner means."""
        role = f"group-{person}"
        rules = [{"apiGroups": ["voice.sovits.dev"], "resources": ["*"], "verbs": ["*"]}]
        metadata = {"name": role, "namespace": namespace}
        body = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}
        self.administrator(namespace).request("POST", f"{RBAC}/namespaces/{namespace}/roles", body)
        self._bind(namespace, person, role, "Role")

    def _flags(self, admin: Client) -> list[str]:
        """The command line of the chart's Deployment after `run`."""
        (container,) = admin.get("deployments", "voice-operator")["spec"]["template"]["spec"]["containers"]
        return list(container["args"][1:])

    def _account(self, admin: Client) -> Path:
        """A kubeconfig with nothing but a token of the chart's ServiceAccount."""
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = admin.request("POST", admin.path("serviceaccounts", "voice-operator") + "/token", asked)
        config = yaml.safe_load(self._admin.read_text())
        for user in config["users"]:
            user["user"] = {"token": token["status"]["token"]}
        path = self.folder / "operator.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    # What is seen

    def listed(self, server: str = f"{SYSTEM}/default") -> dict[str, Object]:
        """The entries that a server's pods are told to serve, by id."""
        namespace, _, name = server.partition("/")
        try:
            entries = VoiceLists(self.administrator(namespace)).read(self.operator_url, name)
        except OSError:
            return {}
        return {entry["id"]: entry for entry in entries}

    def condition(self, namespace: str, voice: str, kind: str = "Ready") -> Object:
        """A condition of a voice; empty while there is none."""
        return condition_of(self.administrator(namespace).find("voicemodels", voice), kind)

    def events(self, namespace: str, name: str) -> dict[str, str]:
        """The newest note of each reason that was said about an object."""
        found = self.administrator(namespace).objects("events")
        return {one["reason"]: one.get("note", "") for one in found if one["regarding"]["name"] == name}

    def is_ready(self, namespace: str, voice: str) -> bool:
        return bool(self.condition(namespace, voice).get("status") == "True")

    def train(self, namespace: str, voice: str, **spec: Any) -> str:
        """Apply a voice as its owner would, wait until it is served, and return its revision."""
        person = self.person({TEAM_A: "ada", TEAM_B: "bob"}[namespace], namespace)
        person.apply(make_voice(voice, namespace, **spec))
        wait_for(f"{namespace}/{voice} to be Ready", lambda: self.is_ready(namespace, voice), SERVER_SECONDS)
        found = self.administrator(namespace).get("voicemodels", voice)
        return str(found["status"]["activeRevision"])

    def log(self) -> str:
        return self.operator.log.read_text()


def condition_of(item: Object | None, kind: str) -> Object:
    """A condition of an object; empty where there is none."""
    conditions = ((item or {}).get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), {})


def refusal(act: Any) -> str:
    """Do what the API server must refuse, and return its sentence."""
    with pytest.raises(ApiFailed) as refused:
        act()
    assert refused.value.status in {400, 403, 409, 422}
    return str(refused.value)


def bucket_policy() -> str:
    """Each namespace's keys reach its own prefixes (docs/tenancy.md); the operator's reach everything."""
    arn = "arn:aws:s3:::voices"
    statements: list[Object] = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "operator"},
            "Action": [
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:AbortMultipartUpload",
            ],
            "Resource": f"{arn}/*",
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": "operator"},
            "Action": ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"],
            "Resource": arn,
        },
    ]
    for owner in (TEAM_A, TEAM_B):
        who = {"Effect": "Allow", "Principal": {"AWS": owner}}
        readable = [f"datasets/{owner}/*", f"{owner}/*", f"audit/{owner}/*", "bases/*"]
        statements += [
            who | {"Action": "s3:GetObject", "Resource": [f"{arn}/{prefix}" for prefix in readable]},
            who | {"Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": f"{arn}/{owner}/*"},
            who
            | {
                "Action": "s3:ListBucket",
                "Resource": arn,
                "Condition": {"StringLike": {"s3:prefix": readable}},
            },
        ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def make_s3_users(program: Path, port: int) -> None:
    """A user of the store for each owner of keys, and the policy of the bucket `voices`."""
    root = ("--access", ACCESS_KEY, "--secret", SECRET_KEY, "--endpoint-url", f"http://127.0.0.1:{port}")
    for owner in ("operator", TEAM_A, TEAM_B):
        user = ("--access", owner, "--secret", f"{owner}-secret", "--role", "user")
        subprocess.run([program, "admin", *root, "create-user", *user], check=True, capture_output=True)
    administrator = Minio(f"127.0.0.1:{port}", access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False)
    administrator.set_bucket_policy("voices", bucket_policy())


def decoded(secret: Object, key: str) -> str:
    """A value of a Secret."""
    return base64.b64decode(secret["data"][key]).decode()


def settle(seconds: float = 1.0) -> None:
    """Let everybody act who would act at once."""
    time.sleep(seconds)
