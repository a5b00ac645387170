"""The playground in Chromium: it speaks while audio arrives, compares, asks for a key, fits a telephone."""

import io
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import expect
from tests.inference.browser.conftest import TELEPHONE, Visit
from tests.inference.conftest import Desired, MakeBundle

Serve = Callable[..., str]
Open = Callable[..., Visit]
SECONDS = 60_000.0  # milliseconds; the machine may be busy

# The controls that are shown, as an expression of JavaScript.
CONTROLS = "[...document.querySelectorAll('button,select,input,textarea')].filter(one => one.offsetParent)"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def patience() -> None:
    expect.set_options(timeout=SECONDS)


def picture(visit: Visit, name: str) -> None:
    """Keep a screenshot where the caller of the tests wants them."""
    if folder := os.environ.get("PLAYGROUND_PICTURES"):
        visit.page.screenshot(path=Path(folder) / f"{name}.png")


def test_it_speaks_and_keeps_what_it_spoke(server: Serve, visit: Open) -> None:
    here = visit(server())
    page = here.page
    expect(page.get_by_role("status")).to_have_text("3 voices.")
    expect(page.locator("#about-a")).to_contain_text("alice-1 · ready · pesq 3.21 · consent until 2099-11-01")
    carol = page.locator("#voice-a option", has_text="studio/carol")
    assert carol.get_attribute("disabled") is not None, "a voice that cannot speak cannot be chosen"
    assert here.painted() == here.painted("spectrum") == 0
    page.get_by_label("Text", exact=True).fill("One sentence is spoken here. " * 12)
    here.speak()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^Speaking with studio/alice: first audio after \d"))
    page.wait_for_function("document.getElementById('wave').getContext('2d').getImageData(480, 60, 1, 1).data[3] > 0")
    picture(here, "playground")
    told = re.compile(r"^studio/alice \(alice-1\): first audio after \d+\.\d\d s, \d+\.\d\d s long, seed \d+\.$")
    expect(page.get_by_role("status")).to_have_text(told)
    expect(page.get_by_role("img", name="Waveform of")).to_be_visible()
    expect(page.get_by_role("img", name="Spectrogram of")).to_be_visible()
    assert here.painted() > 1000
    assert here.painted("spectrum") > 10_000
    with page.expect_download() as download:
        page.get_by_role("link", name="Download studio/alice").click()
    assert re.fullmatch(r"studio-alice-\d+\.wav", download.value.suggested_filename)
    sound = soundfile.info(io.BytesIO(download.value.path().read_bytes()))
    assert (sound.channels, sound.format) == (1, "WAV")
    assert f"{sound.duration:.2f} s long" in page.get_by_role("status").inner_text()


def test_other_formats_are_heard_too(server: Serve, visit: Open) -> None:
    here = visit(server())
    for seed, chosen in enumerate(("mp3", "opus", "flac", "wav")):
        here.page.get_by_label("Format").select_option(chosen)
        here.page.get_by_label("Seed").fill(str(seed))
        here.speak()
        expect(here.page.get_by_role("status")).to_have_text(re.compile(rf"\d+\.\d\d s long, seed {seed}\.$"))
        assert here.painted() > 1000


def test_two_voices_are_compared_with_the_same_seed(server: Serve, visit: Open) -> None:
    here = visit(server())
    page = here.page
    page.get_by_label("Compare with").select_option("studio/bob")
    page.get_by_label("Text", exact=True).press("Control+Enter")
    second = page.get_by_role("radio", name="B: studio/bob (bob-1)")
    expect(second).to_be_visible()
    second.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^studio/bob \(bob-1\): "))
    expect(page.get_by_role("listitem")).to_have_count(2)
    seeds = re.findall(r"seed (\d+)", page.locator("#history").inner_text())
    assert len(set(seeds)) == 1


def test_a_revision_is_compared_with_the_one_before(
    server: Serve, visit: Open, make_bundle: MakeBundle, desired: Desired
) -> None:
    here = visit(server())
    page = here.page
    expect(page.get_by_role("status")).to_have_text("3 voices.")
    first = json.loads(desired.path.read_text())["voices"][0]
    desired.write(desired.entry(make_bundle(number=2, seed=7).seal(), previous=first))
    reloaded = page.get_by_role("button", name="Reload voices")
    before = page.get_by_label("Compare with").locator("option", has_text="studio/alice, revision before: alice-1")
    deadline = time.monotonic() + SECONDS / 1000
    while not before.count():
        assert time.monotonic() < deadline
        reloaded.click()
        page.wait_for_timeout(100)
    page.get_by_label("Compare with").select_option("studio/alice@alice-1")
    expect(page.locator("#about-b")).to_have_text(
        "the revision before alice-2; it speaks while its VoiceRevision exists"
    )
    page.get_by_label("Seed").fill("4")
    here.speak()
    expect(page.get_by_role("radio", name="A: studio/alice (alice-2)")).to_be_checked()
    expect(page.get_by_role("radio", name="B: studio/alice (alice-1)")).to_be_visible()
    expect(page.get_by_role("group", name="Which one is better?")).to_be_hidden()
    heard = page.locator("#history")
    assert sorted(re.findall(r"\((alice-\d)\)", heard.inner_text())) == ["alice-1", "alice-2"]


def test_a_blind_comparison_names_nobody_until_somebody_has_chosen(server: Serve, visit: Open) -> None:
    here = visit(server(), TELEPHONE)
    page = here.page
    expect(page.get_by_role("status")).to_have_text("3 voices.")
    page.get_by_label("Compare with").select_option("studio/bob")
    page.get_by_label("Blind comparison").focus()
    page.keyboard.press("Space")
    orders, chosen = set(), []
    for seed in range(1, 31):  # all in one order: once in 500 million times
        page.get_by_label("Seed").fill(str(seed))
        here.speak()
        question = page.get_by_role("group", name="Which one is better?")
        expect(page.get_by_role("status")).to_have_text("Both are spoken: listen to each, then choose.")
        page.get_by_role("radio", name="The first", exact=True).focus()
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("radio", name="The second", exact=True)).to_be_checked()
        expect(page.get_by_role("status")).to_have_text(re.compile(r"^The second: \d+\.\d\d s long\.$"))
        shown = page.get_by_label("What is heard")
        if seed == 1:
            picture(here, "playground-blind")
            named = page.evaluate("document.querySelector('section').outerHTML")
            assert not re.search(r"alice|bob|seed", named), named
            assert page.evaluate("document.documentElement.scrollWidth") == 360
        question.get_by_role("button", name="The second is better").focus()
        page.keyboard.press("Enter")
        told = re.compile(r"^You chose (\S+) \(\S+\)\. The first was (\S+) \(\S+\), the second \1 \(\S+\)\.$")
        expect(page.get_by_role("status")).to_have_text(told)
        found = told.match(page.get_by_role("status").inner_text())
        assert found
        assert set(found.groups()) == {"studio/alice", "studio/bob"}
        chosen.append(found[1])
        orders.add(found[2])
        assert page.evaluate("document.activeElement.name") == "side", "the focus stays in the comparison"
        expect(question).to_be_hidden()
        expect(shown.get_by_role("listitem")).to_have_count(min(2 * seed, 20))
        if len(orders) == 2:
            break
    assert orders == {"studio/alice", "studio/bob"}
    counts = {name: chosen.count(f"studio/{name}") for name in ("alice", "bob")}
    tally = page.locator("#tally").inner_text()
    for name, count in counts.items():
        assert f"studio/{name} ({name}-1) {count}" in tally
    assert tally.endswith("no difference 0.")


def test_samples_of_a_voice_are_heard(server: Serve, visit: Open) -> None:
    here = visit(server())
    page = here.page
    expect(page.get_by_role("status")).to_have_text("3 voices.")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_text("Samples of the voice").focus()
    page.keyboard.press("Enter")
    second = page.get_by_role("button", name="Play sample: <b>Another</b> one.")
    expect(second).to_be_visible()
    second.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Sample of studio/alice (alice-1): 1.00 s long.")
    assert here.painted() > 1000
    picture(here, "playground-samples")
    page.get_by_label("Voice", exact=True).select_option("studio/bob")
    expect(page.get_by_text("None.", exact=True)).to_be_visible()
    assert second.count() == 0
    ends = [url.removeprefix(f"{here.address}/v1/voices/studio/") for url in asked]
    assert ends == ["alice/samples", "alice/samples/sentence-2", "bob/samples"]


def test_a_key_is_asked_for_and_stays_in_the_tab(server: Serve, visit: Open, key: str, tmp_path: Path) -> None:
    here = visit(server("--keys", str(tmp_path / "keys")))
    page = here.page
    expect(page.get_by_role("alert")).to_have_text("Give your API key as `Authorization: Bearer …`.")
    expect(page.get_by_label("API key", exact=True)).to_be_focused()
    page.keyboard.type("vo_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("There is no such API key")
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("1 voice.")
    expect(page.get_by_role("alert")).to_be_hidden()
    here.speak()
    expect(page.get_by_role("status")).to_have_text(re.compile("seed"))
    stored = "[Object.values(sessionStorage), Object.values(localStorage), document.cookie, location.href]"
    assert page.evaluate(stored) == [[key], [], "", f"{here.address}/"]
    page.reload()
    expect(page.get_by_role("status")).to_have_text("1 voice.")
    page.get_by_text("API key", exact=True).first.click()
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("alert")).to_contain_text("Give your API key")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_refusal_is_text_and_a_speech_can_be_stopped(server: Serve, visit: Open) -> None:
    here = visit(server())
    page = here.page
    page.get_by_label("Text", exact=True).fill("<img src=x onerror=alert(1)> 北京")
    here.speak()
    expect(page.get_by_role("alert")).to_contain_text("which no word of language 'en' is written with")
    assert page.locator("img:not(canvas)").count() == 0
    page.get_by_label("Text", exact=True).fill("This sentence takes its time. " * 100)
    here.speak()
    expect(page.get_by_role("status")).to_have_text(re.compile("first audio"))
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text("Stopped.")
    expect(page.get_by_role("button", name="Speak", exact=True)).to_be_enabled()


def test_it_fits_a_telephone_and_every_control_has_a_name(server: Serve, visit: Open) -> None:
    address = server()
    for scheme in ("light", "dark"):
        here = visit(address, TELEPHONE, color_scheme=scheme)
        page = here.page
        expect(page.get_by_role("status")).to_have_text("3 voices.")
        page.get_by_label("Compare with").select_option("studio/bob")
        here.speak()
        expect(page.get_by_role("group", name="Listen to")).to_be_visible()
        picture(here, f"playground-360-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        boxes = page.evaluate(f"{CONTROLS}.map(one => [one.id, one.getBoundingClientRect().right])")
        assert all(right <= 360 for _, right in boxes), boxes
        unnamed = f"{CONTROLS}.filter(one => !one.labels?.length && !one.textContent.trim()).map(one => one.id)"
        assert page.evaluate(unnamed) == []
        ground, ink = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.documentElement))")
        is_dark = [sum(map(int, re.findall(r"\d+", colour))) < 384 for colour in (ground, ink)]
        assert is_dark == ([True, False] if scheme == "dark" else [False, True])


def test_the_keyboard_reaches_everything_in_order(server: Serve, visit: Open) -> None:
    page = visit(server()).page
    expect(page.get_by_role("status")).to_have_text("3 voices.")
    reached = []
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached[:12] == [
        "A",
        "SUMMARY",
        "voice-a",
        "voice-b",
        "blind",
        "SUMMARY",
        "text",
        "language",
        "format",
        "speed",
        "seed",
        "speak",
    ]
    assert "reload" in reached


def test_the_spectrogram_shows_a_tone_where_it_sounds(server: Serve, visit: Open) -> None:
    """Against the definition of the discrete Fourier transform, and on the picture."""
    page = visit(server()).page
    found = page.evaluate(
        """async () => {
            const { decibels, Spectrogram } = await import('/playground/spectrogram.js');
            const rate = 32000, turn = 2 * Math.PI * 2500 / rate;
            const tone = Float32Array.from({ length: rate }, (_, n) => Math.sin(turn * n));
            const levels = decibels(tone.subarray(0, 1024)), loudest = levels.indexOf(Math.max(...levels));
            let real = 0, imaginary = 0;
            for (let n = 0; n < 1024; n++) {
                const weighted = tone[n] * (0.5 - 0.5 * Math.cos(2 * Math.PI * n / 1024));
                real += weighted * Math.cos(2 * Math.PI * loudest * n / 1024);
                imaginary += weighted * Math.sin(2 * Math.PI * loudest * n / 1024);
            }
            const canvas = document.getElementById('spectrum');
            new Spectrogram(canvas).add(tone, rate);
            const pen = canvas.getContext('2d');
            const column = [...pen.getImageData(240, 0, 1, canvas.height).data].filter((_, n) => n % 4 === 3);
            return [loudest, levels[loudest], 10 * Math.log10(real ** 2 + imaginary ** 2), column.indexOf(255)];
        }"""
    )
    bin_, level, expected, row = found
    assert bin_ == 80, "2,500 Hz of 32,000 in 1,024 parts"
    assert abs(level - expected) < 0.1
    assert row == 60, "half of the height is a quarter of 10 kHz"


def test_the_documents_page_comes_from_this_server_alone(server: Serve, visit: Open) -> None:
    page = visit(server("--threads", "1")).page
    page.get_by_role("link", name="API").click()
    expect(page.get_by_role("heading", name=re.compile("Voice inference"))).to_be_visible()
    page.get_by_role("button", name=re.compile("Create Speech")).first.click()
    expect(page.get_by_role("button", name="Try it out")).to_be_visible()
