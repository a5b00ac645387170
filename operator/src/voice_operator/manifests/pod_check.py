"""Makes a pod of each kind as the operator starts: a wrong addition ends it with a sentence, not each Job with one."""

from typing import get_args

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import StageName, VoiceModelStatus
from voice_operator.manifests.server import deployment
from voice_operator.manifests.stage_job import stage_job
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.observed import Voice, VoiceServer
from voice_operator.settings import Settings

HASH = "0" * 64


def check_pods(settings: Settings) -> None:
    """Make the pods that the settings lead to, with every optional part.

    Raises:
        InvalidSettings: something that the installation adds to them is in the way of the operator's own.
    """
    spec = VoiceModelSpec.model_validate(
        {
            "language": "en",
            "base": settings.default_base,
            "dataset": {"uri": "s3://check/check"},
            "consent": {"holder": "check", "statement": "check"},
        }
    )
    voice = Voice("check", "check", "check", 1, spec, VoiceModelStatus())
    for stage in get_args(StageName):
        stage_job(voice, StartJob(stage, 1), HASH, settings)
    server = VoiceServerSpec(base=settings.default_base, keys_secret="check", tls_secret="check")  # noqa: S106 -- names
    deployment(VoiceServer("check", "check", "check", 1, server), settings, public_key="check")
