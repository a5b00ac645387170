"""What kubectl prints becomes one sentence, with an exit code by what helps."""

import pytest

from voice_cli.errors import ClusterRefused, FieldConflict, NotFound, Unavailable
from voice_cli.refusals import error_of


@pytest.mark.parametrize(
    ("stderr", "kind", "sentence"),
    [
        pytest.param(
            'Error from server (Forbidden): voicemodels.voice.sovits.dev is forbidden: User "eve" cannot list '
            'resource "voicemodels" in API group "voice.sovits.dev" in the namespace "studio"\n',
            ClusterRefused,
            "eve may not list voicemodels in studio; ask whoever administers studio for the role view, or the "
            "chart's reviewer, exporter or consent-officer",
            id="a missing right",
        ),
        pytest.param(
            'Error from server (Forbidden): voicemodels.voice.sovits.dev "ann" is forbidden: Validating'
            "AdmissionPolicy 'voice-system.voice-operator.voices' with binding 'voice-system.voice-operator.voices' "
            "denied request: eve may not loosen spec.review of ann",
            ClusterRefused,
            "eve may not loosen spec.review of ann",
            id="a policy's own words",
        ),
        pytest.param(
            'The VoiceModel "x" is invalid: \n* spec.consent: Invalid value: "object": spec.consent.holder never '
            "changes: another person's voice is another VoiceModel\n* <nil>: Invalid value: null: some validation "
            "rules were not checked because the object was invalid; correct the existing errors to complete it\n",
            ClusterRefused,
            "spec.consent.holder never changes: another person's voice is another VoiceModel",
            id="a rule of the CRD",
        ),
        pytest.param(
            'error: Apply failed with 1 conflict: conflict with "kubectl-edit" using voice.sovits.dev/v1alpha1: '
            ".spec.training.epochs\nPlease review the fields above--they currently have other managers.\n",
            FieldConflict,
            "spec.training.epochs is set by kubectl-edit too; take it out of voice.yaml, or push with "
            "--force-conflicts to take it over",
            id="a field of somebody else",
        ),
        pytest.param(
            'error: the server doesn\'t have a resource type "voicemodels"',
            NotFound,
            "the cluster knows no VoiceModels: the CustomResourceDefinitions are missing; install the chart, then "
            "`kubectl voice doctor`",
            id="no CRDs",
        ),
        pytest.param(
            "error: You must be logged in to the server (Unauthorized)",
            ClusterRefused,
            "the API server does not know you: You must be logged in to the server (Unauthorized); log in again, or "
            "choose another --context",
            id="an expired login",
        ),
        pytest.param(
            "E1130 03:04:05.6 memcache.go:265] couldn't get current server API group list\n"
            "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?\n",
            Unavailable,
            "the API server cannot be reached: The connection to the server 10.0.0.1:6443 was refused - did you "
            "specify the right host or port?; check --context and the network",
            id="no API server",
        ),
        pytest.param(
            'Error from server: Get "https://10.0.0.7:10250/containerLogs/studio/alice-1-train-1-x/stage": dial tcp '
            "10.0.0.7:10250: connect: connection refused",
            Unavailable,
            "the API server cannot reach the pod's node (dial tcp 10.0.0.7:10250: connect: connection refused)",
            id="a node that serves no logs",
        ),
        pytest.param(
            'error: Internal error occurred: error sending request: Post "https://10.0.0.7:10250/exec/s/p/c": '
            "dial tcp 10.0.0.7:10250: connect: no route to host",
            Unavailable,
            "the API server cannot reach the pod's node (dial tcp 10.0.0.7:10250: connect: no route to host)",
            id="a node that runs nothing in pods",
        ),
        pytest.param(
            "error: error upgrading connection: error dialing backend: dial tcp 10.0.0.7:10250: i/o timeout",
            Unavailable,
            "the API server cannot reach the pod's node (dial tcp 10.0.0.7:10250: i/o timeout)",
            id="a node that forwards nothing",
        ),
        pytest.param(
            'error: context "x\x1b[31m" does not exist',
            ClusterRefused,
            'context "x\\x1b[31m" does not exist',
            id="anything else, printable",
        ),
    ],
)
def test_a_refusal(stderr: str, kind: type[Exception], sentence: str) -> None:
    found = error_of(stderr)
    assert (type(found), str(found)) == (kind, sentence)
