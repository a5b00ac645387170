"""The HTTP interface over a real base and real adapters: contracts, errors, and swaps under load."""

import asyncio
import io
import json
import re
import wave
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from voice_inference.api.speech_request import SpeechRequest
from voice_inference.bundles.base import load_base

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def samples_of(wav: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def loudness_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the two signals' loudness in steps of 20 ms at 32 kHz."""
    rows = [signal[: signal.size // 640 * 640].reshape(-1, 640).astype(float) for signal in (one, other)]
    return float(np.corrcoef(*(np.sqrt(np.square(row).mean(axis=1)) for row in rows))[0, 1])


async def test_a_desired_voice_speaks(make_bundle: Any, desired: Any, start_server: Any) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        answer = await server.create_speech("studio/alice")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
        assert answer.headers["x-voice"] == "studio/alice"
        assert answer.headers["x-voice-revision"] == "alice-1"
        with wave.open(io.BytesIO(answer.content)) as file:
            assert str(file.getframerate()) == answer.headers["x-sample-rate"]
        assert np.abs(samples_of(answer.content)).max() > 3


async def test_every_form_of_a_request_says_the_same(make_bundle: Any, desired: Any, start_server: Any) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        wav = await server.create_speech("studio/alice")
        as_object = await server.create_speech({"id": "studio/alice"}, model="tts-1", instructions="Be kind.", speed=1)
        pcm = await server.create_speech("studio/alice", response_format="pcm", language="en", stream_format="audio")
        assert wav.content == as_object.content
        streamed = np.frombuffer(pcm.content, "<i2")  # its first sentence is joined from parts
        assert len(streamed) == len(samples_of(wav.content))
        assert loudness_correlation(streamed, samples_of(wav.content)) > 0.9
        assert pcm.headers["content-type"].startswith("audio/pcm;rate=")


@pytest.mark.parametrize("form", ["pcm", "mp3", "opus", "aac"])
async def test_the_first_sound_comes_before_the_sentence_is_spoken(
    form: str, make_bundle: Any, desired: Any, start_server: Any
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    text = "A sentence that is long enough to be spoken for some seconds, so that nobody wants to wait for its end."
    async with start_server() as server:
        await server.until_ready(alice)
        request = SpeechRequest(input=text, voice="studio/alice", seed=1, response_format=form)
        stream = await server.services.speech.start(request)
        first, whole = stream.first, await stream.read()
        assert 0 < len(first) < len(whole) / 4
        if form == "pcm":
            assert len(first) == 2 * round(0.4 * stream.voice.base.sample_rate)


async def test_a_file_is_listened_to_before_it_is_sent_where_that_is_asked_for(
    make_bundle: Any, desired: Any, start_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        assert "x-faults" not in (await server.create_speech("studio/alice")).headers
        monkeypatch.setattr("voice_inference.engine.sentence.max_tokens", lambda _: 11)  # half a second
        answer = await server.create_speech("studio/alice", input="Please close the kitchen window.", verify=True)
        assert "missing_words=" in answer.headers["x-faults"]
        refused = await server.create_speech("studio/alice", input="안녕하세요 여러분.", language="ko", verify=True)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] in {"verify", "language"}


async def test_captions_have_the_times_of_the_audio(make_bundle: Any, desired: Any, start_server: Any) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    text = "Good morning. How are you?"
    async with start_server() as server:
        await server.until_ready(alice)
        sound = samples_of((await server.create_speech("studio/alice", text)).content)
        captions = await server.create_speech("studio/alice", text, response_format="srt")
        assert captions.headers["content-type"].startswith("application/x-subrip")
        assert captions.text.endswith("How are you?\n")
        end = captions.text.split("--> ")[-1].split("\n")[0]
        assert float(end.replace("00:00:", "").replace(",", ".")) == pytest.approx(len(sound) / 32_000, abs=0.002)
        events = await server.create_speech("studio/alice", text, stream_format="sse", timestamps="sentence")
        kinds = [json.loads(line[6:]) for line in events.text.splitlines() if line]
        told = [event["sentence"]["text"] for event in kinds if event["type"] == "speech.audio.timestamps"]
        assert told == ["Good morning.", "How are you?"]
        assert kinds[-1]["type"] == "speech.audio.done"


async def test_words_have_the_same_times_in_events_and_captions(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    sentences = ("Good morning, good people.", "How are you, and how do you do?")
    async with start_server() as server:
        await server.until_ready(alice)
        asked = {"text": " ".join(sentences), "timestamps": "word", "speed": 2.0}
        answer = await server.create_speech("studio/alice", stream_format="sse", response_format="wav", **asked)
        captions = await server.create_speech("studio/alice", response_format="srt", **asked)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
    told = [event for event in events if event["type"] == "speech.audio.timestamps"]
    assert [event["sentence"]["text"] for event in told] == list(sentences)
    cues = []
    for event in told:
        spoken = iter(re.findall("[a-z]+", event["sentence"]["text"].lower()))
        words = event.get("words", [])
        assert all(word["word"] in spoken for word in words), "some of the sentence's words, in their order"
        for word in words:
            assert event["sentence"]["start"] - 0.05 <= word["start"] < word["end"] <= event["sentence"]["end"] + 0.05
        cues += words or [{"word": event["sentence"]["text"]} | event["sentence"]]
    assert any("words" in event for event in told)
    shown = re.findall(r"00:00:(\S+) --> 00:00:(\S+)\n(.+)", captions.text.replace(",", "."))
    assert [(float(start), float(end)) for start, end, _ in shown] == [(cue["start"], cue["end"]) for cue in cues]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"timestamps": "word"}, "timestamps"),
        ({"response_format": "vtt", "stream_format": "sse"}, "response_format"),
        ({"timestamps": "letter", "stream_format": "sse"}, "timestamps"),
    ],
)
async def test_timestamps_that_go_nowhere_are_refused(
    fields: dict[str, str], param: str, make_bundle: Any, desired: Any, start_server: Any
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        refused = await server.create_speech("studio/alice", **fields)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_a_request_may_choose_how_tokens_are_drawn_and_how_a_text_is_split(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    text = "Hello there, my friend. How are you?"
    async with start_server() as server:
        await server.until_ready(alice)
        sure = [(await server.create_speech("studio/alice", text, seed=seed, top_k=1)).content for seed in (1, 2)]
        livelier = await server.create_speech("studio/alice", text, temperature=1.5)
        cut = await server.create_speech("studio/alice", text, response_format="srt", split_method="cut5")
        assert len(sure[0]) == len(sure[1]) != len(livelier.content)
        assert [block.split("\n")[2] for block in cut.text.strip().split("\n\n")] == [
            "Hello there,",
            "my friend.",
            "How are you?",
        ]


async def test_without_a_seed_each_answer_differs_and_names_the_seed_that_repeats_it(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        first, second = [await server.create_speech("studio/alice", seed=None) for _ in range(2)]
        assert first.content != second.content
        again = await server.create_speech("studio/alice", seed=int(first.headers["x-seed"]))
        assert again.content == first.content


async def test_voices_are_listed_as_the_contract_says(make_bundle: Any, desired: Any, start_server: Any) -> None:
    alice, bob = make_bundle().seal(), make_bundle("studio/bob")
    broken = bob.seal()
    (bob.folder / "prompt.safetensors").unlink()
    desired.write(alice, broken)
    async with start_server() as server:
        await server.until(lambda voices: {voice["state"] for voice in voices.values()} == {"ready", "failed"})
        listed = (await server.client.get("/v1/voices")).json()
        assert listed["object"] == "list"
        assert listed["generation"] == 1
        assert listed["data"][0] == {
            "id": "studio/alice",
            "revision": "alice-1",
            "digest": alice.digest,
            "state": "ready",
            "error": "",
            "language": "en",
            "serving": "alice-1",
        }
        assert listed["data"][1]["state"] == "failed"
        assert "prompt.safetensors: there is no such object" in listed["data"][1]["error"]
        assert (await server.client.get("/readyz")).status_code == 200
        refused = await server.create_speech("studio/bob")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]


async def test_what_comes_next_is_listed_and_does_not_speak(make_bundle: Any, desired: Any, start_server: Any) -> None:
    old, new = make_bundle(number=1).seal(), make_bundle(number=2).seal()
    desired.write(desired.entry(old, following=new))
    async with start_server() as server:
        voices = await server.until(
            lambda voices: (
                voices and voices["studio/alice"]["next"]["state"] == voices["studio/alice"]["state"] == "ready"
            )
        )
        assert voices["studio/alice"]["serving"] == voices["studio/alice"]["revision"] == "alice-1"
        assert voices["studio/alice"]["next"] == {
            "revision": "alice-2",
            "digest": new.digest,
            "state": "ready",
            "error": "",
        }
        assert (await server.create_speech("studio/alice")).headers["x-voice-revision"] == "alice-1"
        desired.write(new)
        voices = await server.until(lambda voices: voices["studio/alice"]["serving"] == "alice-2")
        assert "next" not in voices["studio/alice"]
        assert (await server.create_speech("studio/alice")).headers["x-voice-revision"] == "alice-2"


async def test_the_revision_before_is_compared_by_its_name(make_bundle: Any, desired: Any, start_server: Any) -> None:
    first, second = make_bundle(number=1, seed=1).seal(), make_bundle(number=2, seed=2).seal()
    desired.write(first)
    async with start_server() as server:
        await server.until_ready(first)
        before = await server.create_speech("studio/alice")
        desired.write(desired.entry(second, previous=first.model_dump()))
        await server.until_ready(second)
        after = await server.create_speech("studio/alice")
        assert (await server.voices())["studio/alice"]["previous"] == "alice-1"
        named = await server.create_speech("studio/alice@alice-1")
        assert (named.headers["x-voice"], named.headers["x-voice-revision"]) == ("studio/alice", "alice-1")
        assert named.content == before.content != after.content
        unknown = await server.create_speech("studio/alice@alice-7")
        assert (unknown.status_code, unknown.json()["error"]) == (
            404,
            {
                "message": "There is no revision 'alice-7' of studio/alice here; these speak: alice-2, alice-1. "
                "Without @ the name means the first.",
                "type": "invalid_request_error",
                "param": "voice",
                "code": "revision_not_found",
            },
        )
    async with start_server(cache=desired.path.parent / "younger") as younger:
        await younger.until_ready(second)
        named = await younger.create_speech("studio/alice@alice-1")
        assert named.content == before.content, "a pod that never served it loads it for whoever asks"
        desired.write(second)
        await younger.until(lambda voices: "previous" not in voices["studio/alice"])
        assert (await younger.create_speech("studio/alice@alice-1")).status_code == 404


async def test_voices_of_two_bases_speak_side_by_side(
    make_bundle: Any, desired: Any, start_server: Any, stored_base: Any
) -> None:
    reference = stored_base.change(name="other").model_copy(update={"name": "other"})
    other = load_base(reference.uri, reference, threads=1)
    alice, bob = make_bundle().seal(), make_bundle("studio/bob", on=other).seal()
    desired.write(alice, desired.entry(bob, base=reference.model_dump()))
    async with start_server() as server:
        await server.until_ready(alice, bob)
        for name in ("alice", "bob"):
            assert (await server.create_speech(f"studio/{name}")).status_code == 200
        models = (await server.client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in models] == ["tiny", "other"]


async def test_a_consent_ends_at_midnight_without_a_word_from_anyone(
    make_bundle: Any, desired: Any, start_server: Any, clock: Any
) -> None:
    alice, bob = make_bundle().seal(), make_bundle("studio/bob").seal()
    desired.write(desired.entry(alice, expires="2027-11-01"), bob)
    clock.now = datetime(2027, 11, 1, 23, 59, tzinfo=UTC)
    async with start_server() as server:
        await server.until_ready(alice, bob)
        desired.path.write_text("gone")
        stream = await server.services.speech.start(
            SpeechRequest(input="One sentence. Another sentence. The last sentence.", voice="studio/alice", seed=1)
        )
        clock.now = datetime(2027, 11, 2, tzinfo=UTC)
        answer = await server.create_speech("studio/alice")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "consent_ended")
        assert "consent to it ended on 2027-11-01" in answer.json()["error"]["message"]
        assert (await server.voices()).keys() == {"studio/bob"}
        assert (await server.create_speech("studio/bob")).status_code == 200
        assert len(await stream.read()) > len(stream.first)  # what has begun is finished


async def test_the_model_is_the_base(desired: Any, start_server: Any) -> None:
    desired.write()
    async with start_server() as server:
        await server.until(lambda _: server.services.registry.ready)
        assert (await server.client.get("/readyz")).json() == {"status": "ready", "generation": 1}
        (model,) = (await server.client.get("/v1/models")).json()["data"]
        assert (model["id"], model["object"]) == ("tiny", "model")


async def test_a_server_is_alive_but_not_ready_before_it_knows_its_voices(start_server: Any) -> None:
    async with start_server() as server:
        assert (await server.client.get("/healthz")).status_code == 200
        answer = await server.client.get("/readyz")
        assert answer.status_code == 503
        assert "No desired voices" in answer.json()["error"]["message"]


async def test_a_base_that_cannot_be_loaded_is_shown_on_every_voice(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    desired.write(make_bundle().seal(), base={"name": "huge", "uri": "embedded:huge", "digest": ""})
    async with start_server() as server:
        voices = await server.until(lambda voices: voices.get("studio/alice", {}).get("state") == "failed")
        assert "no embedded base 'huge'" in voices["studio/alice"]["error"]
        ready = await server.client.get("/readyz")
        assert "no embedded base 'huge'" in ready.json()["error"]["message"]


GOOD = {"input": "Hello.", "voice": "studio/alice"}


@pytest.mark.parametrize(
    ("request_", "status", "param", "message"),
    [
        pytest.param({"voice": "alice"}, 400, "input", "required", id="no input"),
        pytest.param(GOOD | {"input": ""}, 400, "input", "at least 1", id="an empty input"),
        pytest.param(GOOD | {"input": "  \n"}, 400, "input", "white space", id="a blank input"),
        pytest.param(GOOD | {"input": "👍"}, 400, "input", "nothing to speak", id="an input without a word"),
        pytest.param(GOOD | {"input": "a" * 4097}, 400, "input", "4096", id="an input that is too long"),
        pytest.param({"input": "Hello."}, 400, "voice", "required", id="no voice"),
        pytest.param(GOOD | {"voice": 7}, 400, "voice", "valid", id="a voice that is a number"),
        pytest.param(
            GOOD | {"voice": "studio/nobody"}, 404, "voice", "known voices of studio: ", id="an unknown voice"
        ),
        pytest.param(GOOD | {"voice": {"id": "x"}}, 404, "voice", "with its namespace", id="an unknown voice's id"),
        pytest.param(GOOD | {"voice": "alice"}, 404, "voice", "with its namespace", id="a voice without its namespace"),
        pytest.param(GOOD | {"response_format": "mp4"}, 400, "response_format", "'pcm', 'vtt' or 'srt'", id="mp4"),
        pytest.param(GOOD | {"speed": 5}, 400, "speed", "4", id="too fast for OpenAI"),
        pytest.param(GOOD | {"speed": 0.1}, 400, "speed", "0.25", id="too slow for OpenAI"),
        pytest.param(GOOD | {"stream_format": "ogg"}, 400, "stream_format", "'audio' or 'sse'", id="another stream"),
        pytest.param(GOOD | {"input": "Please visit 北京 tomorrow."}, 400, "input", "京北", id="letters nobody reads"),
        pytest.param(GOOD | {"seed": -1}, 400, "seed", "0", id="a negative seed"),
        pytest.param(GOOD | {"language": "xx"}, 400, "language", "use one of", id="an unknown language"),
        pytest.param([], 400, None, "body", id="a body that is a list"),
    ],
)
async def test_every_refusal_has_openais_shape_and_names_the_field(
    make_bundle: Any, desired: Any, start_server: Any, *, request_: Any, status: int, param: str, message: str
) -> None:
    voices = [make_bundle("studio/alice").seal()]
    desired.write(*voices)
    async with start_server() as server:
        await server.until_ready(*voices)
        answer = await server.client.post("/v1/audio/speech", json=request_)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (status, param)
        assert error["type"] == "invalid_request_error"
        assert message in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("POST", "/v1/audio/speech", b"{", 400, "invalid_json"),
        ("POST", "/v1/audio/speech", b"\xff\xfe", 400, "invalid_json"),
        ("POST", "/v1/audio/speech", b"", 400, "invalid_json"),
        ("POST", "/v1/audio/speech", b'{"input": "' + b"a" * 300_000, 413, "request_entity_too_large"),
        ("GET", "/v1/audio/speech", b"", 405, "method_not_allowed"),
        ("GET", "/nowhere", b"", 404, "not_found"),
    ],
)
async def test_errors_outside_of_the_routes_are_json_too(
    start_server: Any, *, method: str, path: str, content: bytes, status: int, code: str
) -> None:
    async with start_server() as server:
        headers = {"Content-Type": "application/json"}
        answer = await server.client.request(method, path, content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_bug_is_answered_without_showing_its_insides(
    start_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_server() as server:
        monkeypatch.setattr(server.services.metrics, "render", lambda: 1 // 0)
        answer = await server.client.get("/metrics")
        assert answer.status_code == 500
        assert answer.json()["error"]["type"] == "server_error"
        assert "ZeroDivision" not in answer.text


async def test_requests_beyond_the_queue_are_told_to_come_back(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server(batch=1, queue=1) as server:
        await server.until_ready(alice)
        answers = await asyncio.gather(*[server.create_speech("studio/alice", "Hello there. " * 5) for _ in range(6)])
        refused = [answer for answer in answers if answer.status_code == 429]
        assert [answer.status_code for answer in answers].count(200) == 2
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert refused[0].json()["error"]["type"] == "rate_limit_error"
        assert (await server.create_speech("studio/alice")).status_code == 200


async def test_a_new_revision_replaces_the_old_one_and_a_removed_voice_is_gone(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    first, second = make_bundle(number=1).seal(), make_bundle(number=2).seal()
    desired.write(first)
    async with start_server() as server:
        await server.until_ready(first)
        before = await server.create_speech("studio/alice")
        desired.write(second)
        await server.until_ready(second)
        after = await server.create_speech("studio/alice")
        assert after.headers["x-voice-revision"] == "alice-2"
        assert after.content != before.content
        desired.write()
        await server.until(lambda voices: not voices)
        assert (await server.create_speech("studio/alice")).status_code == 404


async def test_a_broken_revision_leaves_the_previous_one_in_service_and_is_tried_again(
    make_bundle: Any, desired: Any, start_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_inference.voices.syncer.INITIAL_BACKOFF_SECONDS", 0.05)
    first, bundle = make_bundle(number=1).seal(), make_bundle(number=2)
    second = bundle.seal()
    manifest = bundle.folder / "manifest.json"
    promised = manifest.read_bytes()
    manifest.write_bytes(b"{}")
    desired.write(first)
    async with start_server() as server:
        await server.until_ready(first)
        desired.write(desired.entry(second, previous=first.model_dump()))
        voices = await server.until(lambda voices: voices["studio/alice"]["state"] == "failed")
        assert "digest" in voices["studio/alice"]["error"]
        assert "previous" not in voices["studio/alice"], "it is the one that is served still"
        assert (await server.create_speech("studio/alice")).headers["x-voice-revision"] == "alice-1"
        manifest.write_bytes(promised)
        await server.until_ready(second)
        assert (await server.voices())["studio/alice"]["previous"] == "alice-1"


async def test_the_server_goes_on_while_its_document_is_broken(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        desired.path.write_text(json.dumps({"schema": "something else"}))
        await asyncio.sleep(0.2)
        assert (await server.create_speech("studio/alice")).status_code == 200


async def test_voices_never_mix_while_they_are_swapped_under_load(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    """Each answer must be, to the bit, what its revision says when it speaks alone."""
    names = ("alice", "bob", "carol", "dave")
    revisions = {
        number: [make_bundle(f"studio/{name}", number, rank=number + 1).seal() for name in names] for number in (1, 2)
    }
    alone: dict[str, bytes] = {}
    async with start_server(batch=4, queue=64) as server:
        for references in revisions.values():
            desired.write(*references)
            await server.until_ready(*references)
            for name in names:
                answer = await server.create_speech(f"studio/{name}", "Hi.")
                alone[answer.headers["x-voice-revision"]] = answer.content
        assert len(set(alone.values())) == 8

        seen = set()

        async def check(name: str) -> None:
            for _ in range(2):  # the second one begins when some voices have been swapped already
                answer = await server.create_speech(f"studio/{name}", "Hi.")
                revision = answer.headers["x-voice-revision"]
                assert revision.startswith(name)
                assert answer.content == alone[revision]
                seen.add(revision)

        for number in (1, 2):
            desired.write(*revisions[number])
            await asyncio.gather(*[check(name) for name in names * 4])
            await server.until_ready(*revisions[number])
        await asyncio.gather(*[check(name) for name in names])
        assert seen == alone.keys()


@pytest.mark.parametrize("response_format", ["mp3", "pcm", "wav"])
async def test_a_client_that_leaves_before_the_first_byte_stops_the_work(
    make_bundle: Any, desired: Any, start_server: Any, response_format: str
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    long = "The server reads this sentence aloud. " * 100
    body = {"input": long, "voice": "studio/alice", "response_format": response_format}
    messages = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
    left = asyncio.Event()

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        left.set()
        if message["type"] == "http.response.start" and message["status"] == 200:
            await asyncio.sleep(60)  # it takes no more

    async with start_server() as server:
        await server.until_ready(alice)
        progress = server.services.metrics.registry
        scope = {"type": "http", "method": "POST", "path": "/v1/audio/speech", "query_string": b"", "headers": []}
        if response_format == "wav":  # nothing is sent before all is spoken
            asyncio.get_running_loop().call_later(1, left.set)
        await asyncio.wait_for(server.client._transport.app(scope, receive, send), 60)
        async with asyncio.timeout(30):
            while progress.get_sample_value("voice_inference_speech_requests_in_progress"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert progress.get_sample_value("voice_inference_audio_seconds_total") < len(long) / 30
