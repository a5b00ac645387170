"""An alert as plain JSON, Slack message and CloudEvent, and its signature."""

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from voice_operator.manifests.alert import alert_request, signed, signing_secrets
from voice_operator.reconcile.alerts import Alert

ALERT = Alert(
    kind="GatesFailed",
    key="3fa9-77",
    namespace="studio",
    voice="alice",
    uid="1f81eb52",
    generation=3,
    reason="GatesFailed",
    message="stoi is 0.41, at least 0.85 is needed",
    time="2026-11-23T06:07:00Z",
    revision="alice-3fa9c2d1",
)
DATA = {
    "id": ALERT.id,
    "alert": "GatesFailed",
    "title": "A quality gate failed",
    "namespace": "studio",
    "voice": "alice",
    "uid": "1f81eb52",
    "generation": 3,
    "revision": "alice-3fa9c2d1",
    "reason": "GatesFailed",
    "message": "stoi is 0.41, at least 0.85 is needed",
}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": ALERT.id,
    "source": "/apis/voice.sovits.dev/v1alpha1/namespaces/studio/voicemodels/alice",
    "type": "dev.sovits.voice.alert.GatesFailed",
    "subject": "studio/alice",
    "time": "2026-11-23T06:07:00Z",
}
SECRET = b"0123456789abcdef0123456789abcdef"
WRITTEN = "whsec_" + base64.b64encode(SECRET).decode()


def test_a_webhook_gets_type_time_and_data() -> None:
    request = alert_request(ALERT, "webhook")
    document = json.loads(request.body)
    assert document == {"type": ATTRIBUTES["type"], "timestamp": ALERT.time, "data": DATA}
    assert request.headers["Content-Type"] == "application/json"


def test_a_structured_cloud_event_is_one_document() -> None:
    request = alert_request(ALERT, "cloudevents")
    assert json.loads(request.body) == ATTRIBUTES | {"datacontenttype": "application/json", "data": DATA}
    assert request.headers["Content-Type"] == "application/cloudevents+json; charset=UTF-8"


def test_a_binary_cloud_event_has_its_attributes_in_headers() -> None:
    request = alert_request(ALERT, "cloudevents", "binary")
    assert json.loads(request.body) == DATA
    assert {name: request.headers[f"ce-{name}"] for name in ATTRIBUTES} == ATTRIBUTES
    assert request.headers["Content-Type"] == "application/json"
    assert "ce-datacontenttype" not in request.headers


def test_slack_gets_one_text() -> None:
    text = json.loads(alert_request(ALERT, "slack").body)
    assert text == {
        "text": "*A quality gate failed*: voice studio/alice, revision alice-3fa9c2d1\n"
        "stoi is 0.41, at least 0.85 is needed"
    }


def test_no_text_of_others_can_call_a_channel_or_hide_an_address() -> None:
    message = "<!channel> <https://evil.example|log in here> & more"
    text = json.loads(alert_request(replace(ALERT, message=message), "slack").body)["text"]
    assert "<" not in text
    assert "&lt;!channel&gt; &lt;https://evil.example|log in here&gt; &amp; more" in text


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    example = replace(alert_request(ALERT, "webhook"), id="msg_p5jXN8AQM9LWM0D4loKWxJek", body=b'{"test": 2432232314}')
    headers = signed(example, signing_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), 1614265330)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_function_of_the_documentation_verifies_it(repository: Path) -> None:
    page = (repository / "docs" / "alerts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, Any] = {"base64": base64, "hashlib": hashlib, "hmac": hmac, "time": time}
    exec(code, names)  # noqa: S102 -- our own page
    verify = names["verify"]
    request = alert_request(ALERT, "webhook")
    secrets = signing_secrets(f"whsec_{base64.b64encode(b'x' * 24).decode()} {WRITTEN}")
    headers = signed(request, secrets, int(time.time()))
    assert verify(headers, request.body, WRITTEN)
    assert not verify(headers, request.body + b" ", WRITTEN)
    assert not verify(headers | {"webhook-id": "msg_other"}, request.body, WRITTEN)
    assert not verify(headers, request.body, "whsec_" + base64.b64encode(b"y" * 24).decode())
    assert not verify(signed(request, secrets, int(time.time()) - 400), request.body, WRITTEN), "too old"


def test_two_secrets_give_two_signatures_during_a_rotation() -> None:
    request = alert_request(ALERT, "webhook")
    secrets = signing_secrets(f"{WRITTEN}\nwhsec_{base64.b64encode(b'x' * 24).decode()}\n")
    first, second = signed(request, secrets, 7)["webhook-signature"].split(" ")
    content = f"{ALERT.id}.7.".encode() + request.body
    assert first == "v1," + base64.b64encode(hmac.new(SECRET, content, hashlib.sha256).digest()).decode()
    assert second != first
    assert signed(request, (), 7).keys() == {"webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("hunter2hunter2hunter2hunter2", id="no prefix"),
        pytest.param("whsec_not base64", id="no base64"),
        pytest.param("whsec_" + base64.b64encode(b"short").decode(), id="too short"),
        pytest.param("whsec_" + base64.b64encode(b"x" * 65).decode(), id="too long"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="secret") as caught:
        signing_secrets(text)
    assert not text or text not in str(caught.value)
