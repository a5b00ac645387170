"""A real API server refuses what is wrong, in a sentence that names the field."""

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

CONSENT = {"holder": "Alice A.", "statement": "I agree."}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        pytest.param({"language": "fr"}, 'spec.language: Unsupported value: "fr"', id="a language nobody trained"),
        pytest.param({"language": None}, "spec.language: Required value", id="no language"),
        pytest.param({"consent": None}, "spec.consent: Required value", id="no consent"),
        pytest.param({"consent": {"holder": "A"}}, "spec.consent.statement: Required value", id="no statement"),
        pytest.param(
            {"consent": CONSENT | {"statement": " "}}, "spec.consent.statement must say", id="an empty statement"
        ),
        pytest.param({"consent": CONSENT | {"holder": ""}}, "spec.consent.holder must name", id="an empty holder"),
        pytest.param({"consent": CONSENT | {"expires": "soon"}}, "spec.consent.expires must be a date", id="no date"),
        pytest.param({"consent": CONSENT | {"evidence": "mail"}}, "spec.consent.evidence must be", id="no evidence"),
        pytest.param({"dataset": {}}, "spec.dataset.uri: Required value", id="no dataset"),
        pytest.param({"dataset": {"uri": "http://x/y"}}, "spec.dataset.uri must look like s3://", id="another scheme"),
        pytest.param({"dataset": {"uri": "s3://data/../x"}}, "spec.dataset.uri must look like s3://", id="a way out"),
        pytest.param(
            {"dataset": {"uri": "s3://data/a", "digest": "1"}}, "spec.dataset.digest must be sha256:", id="no digest"
        ),
        pytest.param(
            {"training": {"rank": 0}}, "spec.training.rank in body should be greater than or equal to 1", id="rank 0"
        ),
        pytest.param(
            {"training": {"rank": 129}}, "spec.training.rank in body should be less than or equal to 128", id="rank 129"
        ),
        pytest.param({"training": {"learningRate": "fast"}}, "spec.training.learningRate must be", id="no number"),
        pytest.param(
            {"training": {"learningRate": "1.5"}}, "spec.training.learningRate must be", id="too large a rate"
        ),
        pytest.param(
            {"training": {"learningRate": 0.0002}}, "spec.training.learningRate", id="a float where a string is due"
        ),
        pytest.param(
            {"training": {"method": "Full"}}, "spec.training.method: Unsupported value", id="an unknown method"
        ),
        pytest.param({"training": {"targets": []}}, "spec.training.targets", id="no targets"),
        pytest.param({"evaluation": {"gates": [{"metric": "pesq"}]}}, "either min or max", id="a gate without a bound"),
        pytest.param(
            {"evaluation": {"gates": [{"metric": "pesq", "min": "1", "max": "2"}]}},
            "either min or max",
            id="two bounds",
        ),
        pytest.param(
            {"evaluation": {"gates": [{"metric": "pesq", "min": "good"}]}}, "min of a gate must be", id="a word"
        ),
        pytest.param(
            {"evaluation": {"gates": [{"metric": "mos", "min": "4"}]}}, "Unsupported value", id="another metric"
        ),
        pytest.param(
            {"evaluation": {"gates": [{"metric": "pesq", "min": "1"}, {"metric": "pesq", "min": "2"}]}},
            "spec.evaluation.gates[1]: Duplicate value",
            id="two gates of one metric",
        ),
        pytest.param({"evaluation": {"texts": [""]}}, "spec.evaluation.texts[0]", id="nothing to speak"),
        pytest.param(
            {"lexicon": [{"word": "gif", "reading": "JIF"}]},
            "spec.lexicon: a reading in cmu is ARPAbet",
            id="no phones",
        ),
        pytest.param(
            {"lexicon": [{"word": "重庆", "reading": "chong2", "alphabet": "pinyin"}]},
            "spec.lexicon: an entry in pinyin is a word of Han characters and a syllable for each",
            id="a syllable too few",
        ),
        pytest.param(
            {"lexicon": [{"word": "HK", "reading": "hoeng1 gong2", "alphabet": "jyutping"}]},
            "spec.lexicon: an entry in jyutping is a word of Han characters",
            id="Jyutping of Latin letters",
        ),
        pytest.param(
            {"lexicon": [{"word": "大輔", "reading": "daisuke", "alphabet": "kana"}]},
            "spec.lexicon: a reading in kana is hiragana or katakana alone",
            id="no kana",
        ),
        pytest.param(
            {"lexicon": [{"word": "gif", "reading": "gif", "alphabet": "hangul"}]},
            "spec.lexicon: a reading in hangul is syllables of Hangul alone",
            id="no Hangul",
        ),
        pytest.param({"compute": {"timeout": "5x"}}, "spec.compute.timeout must be a duration", id="no duration"),
        pytest.param({"compute": {"timeout": "1s"}}, "spec.compute.timeout must be a duration", id="too short"),
        pytest.param(
            {"compute": {"schedulingTimeout": "1d"}}, "spec.compute.schedulingTimeout must be a duration", id="a day"
        ),
        pytest.param({"retries": {"preemption": 101}}, "spec.retries.preemption", id="more than a hundred nodes"),
        pytest.param(
            {"compute": {"capacity": "Cheap"}}, "spec.compute.capacity: Unsupported value", id="a capacity nobody sells"
        ),
        pytest.param({"compute": {"gpus": -1}}, "spec.compute.gpus", id="fewer than no GPUs"),
        pytest.param({"review": {"timeout": "soon"}}, "spec.review.timeout must be a duration", id="no duration"),
        pytest.param({"review": {"approvals": 0}}, "spec.review.approvals", id="nobody's approval"),
        pytest.param(
            {"consent": CONSENT | {"evidenceDigest": "sha256:1"}}, "spec.consent.evidenceDigest must be", id="no digest"
        ),
        pytest.param(
            {"consent": CONSENT | {"evidenceDigest": "sha256:" + "a" * 64}},
            "spec.consent.evidenceDigest needs spec.consent.evidence to be an s3:// object",
            id="a digest of nothing",
        ),
        pytest.param({"compute": {"queueName": "Big Queue"}}, "spec.compute.queueName must be", id="no queue's name"),
        pytest.param({"retention": {"keepRevisions": 1}}, "spec.retention.keepRevisions", id="nothing to roll back to"),
        pytest.param({"serving": {"server": "A B"}}, "spec.serving.server must be", id="no server's name"),
        pytest.param({"serving": {"pin": "A B"}}, "spec.serving.pin must be", id="no revision's name"),
        pytest.param({"source": {"commit": "main"}}, "spec.source.commit must be", id="a branch is no commit"),
        pytest.param({"base": "../x"}, "spec.base must be the name of a base", id="no base's name"),
        pytest.param(
            {"evaluation": {"gates": [{"metric": "speakerSimilarity", "max": "0.8"}]}},
            "a gate on speakerSimilarity or dnsmos takes min, as more is better",
            id="at most so like the speaker",
        ),
        pytest.param(
            {"evaluation": {"gates": [{"metric": "cer", "min": "0.1"}]}},
            "a gate on cer, wer, noEndTokenRate, repetitionRate or longestPause takes max, as less is better",
            id="at least so many errors",
        ),
        pytest.param(
            {"evaluation": {"gates": [{"metric": "durationRatio"}]}},
            "only durationRatio may have both",
            id="a duration without a bound",
        ),
        pytest.param({"retention": {"unusedDays": 0}}, "spec.retention.unusedDays", id="gone before it is used"),
        pytest.param({"speaker": "Alice"}, 'unknown field "spec.speaker"', id="a field nobody reads"),
    ],
)
def test_refused(user: Any, a_voice: Callable[..., Any], spec: dict[str, Any], sentence: str) -> None:
    document = a_voice("refused", **spec)
    document["spec"] = {name: value for name, value in document["spec"].items() if value is not None}
    assert sentence in user.refused(document)


@pytest.mark.parametrize("name", ["a" * 41, "1alice", "alice.b"])
def test_a_name_that_its_children_cannot_carry_is_refused(user: Any, a_voice: Callable[..., Any], name: str) -> None:
    assert "metadata.name of a VoiceModel must be at most 40 characters" in user.refused(a_voice(name))


def test_the_smallest_voice_gets_all_defaults(user: Any, a_voice: Callable[..., Any]) -> None:
    document = a_voice("defaults", suspend=True)
    document["metadata"]["namespace"] = "default"
    document["spec"].pop("base")
    user.apply(document)
    spec = user.get("voice", "defaults", "default")["spec"]
    assert (spec["training"]["learningRate"], spec["compute"]["timeout"]) == ("2e-4", "12h")
    assert "base" not in spec, "the installation's, which the API server does not know"
    # What tools write back, with every default in it, is accepted. JSON, for PyYAML writes "2e-4" without quotes.
    user.run("apply", "-f", "-", stdin=json.dumps(document | {"spec": spec}))
    assert spec["evaluation"] == {"noRegression": True}
    assert "voicemodel.voice.sovits.dev/defaults" in user.run("get", "sovits", "-n", "default", "-o", "name").stdout


def test_readings_in_every_alphabet_are_accepted(user: Any, a_voice: Callable[..., Any]) -> None:
    readings = [
        {"word": "Kubernetes", "reading": "K UW2 B ER0 N EH1 T IY0 Z"},
        {"word": "Nguyen", "reading": "/wɪn/", "alphabet": "ipa"},  # noqa: RUF001
        {"word": "重庆", "reading": "chóng qing4", "alphabet": "pinyin"},
        {"word": "香港", "reading": "hoeng1 gong2", "alphabet": "jyutping"},
        {"word": "大輔", "reading": "だいすけ", "alphabet": "kana"},
        {"word": "GitHub", "reading": "깃허브", "alphabet": "hangul"},
    ]
    document = a_voice("readings", suspend=True, lexicon=readings)
    document["metadata"]["namespace"] = "default"
    user.apply(document)
    assert user.get("voice", "readings", "default")["spec"]["lexicon"][0]["alphabet"] == "cmu"


def test_explain_says_what_an_absent_base_is(user: Any) -> None:
    told = " ".join(user.run("explain", "voicemodel.spec.base").stdout.split())
    assert "Absent: the installation's default base (chart value defaultBase)" in told


def test_a_revision_never_changes(user: Any) -> None:
    revision = {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceRevision",
        "metadata": {"name": "alice-3fa9c2d1", "namespace": "default"},
        "spec": {
            "voiceModel": "alice",
            "inputHash": "3fa9c2d1" * 8,
            "workspace": "s3://voices/default/alice/1",
            "language": "en",
            "dataset": {"uri": "s3://data/alice", "digest": "sha256:" + "a" * 64},
            "base": {"name": "tiny", "uri": "embedded:tiny"},
            "training": {},
            "consent": CONSENT,
            "artifacts": {"uri": "s3://voices/x", "digest": "sha256:" + "b" * 64},
            "evaluation": {"scores": {"pesq": "3.9"}},
        },
    }
    user.apply(revision)
    revision["spec"]["artifacts"]["digest"] = "sha256:" + "c" * 64
    assert "spec of a VoiceRevision never changes" in user.refused(revision)


def test_a_server_is_scaled_like_a_deployment(user: Any) -> None:
    server = {"apiVersion": "voice.sovits.dev/v1alpha1", "kind": "VoiceServer", "spec": {"base": "tiny"}}
    user.apply(server | {"metadata": {"name": "scaled", "namespace": "default"}})
    user.run("scale", "vserver", "scaled", "-n", "default", "--replicas=3")
    assert user.get("vserver", "scaled", "default")["spec"]["replicas"] == 3
