"""The report in Chromium: opened from a folder alone, read by axe, used by keyboard, listened to blindly."""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.support.chromium import a_chromium
from tests.trainer.evaluation.test_report import KINDS, a_metric, a_report, a_sentence, some_recordings

from voice_cli.commands.people import approve
from voice_trainer.evaluation.curves import Point, plot_curve
from voice_trainer.evaluation.report import (
    ActiveReport,
    ClipReport,
    Pictures,
    Report,
    Score,
    SimilarityReport,
    render_html,
)
from voice_trainer.evaluation.spectrograms import spectrograms
from voice_trainer.recordings.audio import write_flac

pytestmark = pytest.mark.slow
SECONDS = 60_000.0  # milliseconds; the machine may be busy
RATE = 16000
SENTENCES = ("The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background.")
DESKTOP, TELEPHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
GROUPS = ["recordings", "voice", "active", "base"]


def a_whole_report(folder: Path) -> Report:
    """A report with all parts, and its sounds: a tone of its own for each condition."""
    for index, kind in enumerate(("", ".active", ".base")):
        tone = (0.1 * np.sin(2 * np.pi * (220 + 110 * index) * np.arange(RATE // 4) / RATE)).astype(np.float32)
        for number in (1, 2):
            write_flac(folder / f"samples/sentence-{number}{kind}.flac", tone, RATE)
        write_flac(folder / f"samples/c1.spoken{kind}.flac", tone, RATE)
    for name in ("samples/c1.recording.flac", "samples/c1.resynthesis.flac", "reference.flac"):
        write_flac(folder / name, tone, RATE)
    score = Score(mean="0.801", low="0.752", high="0.850", n=14)
    metrics = [
        a_metric(name, verdicts, passed=passed).model_copy(
            update={"meaning": "what it means, in a few words", "voice": score, "recordings": score, "difference": said}
        )
        for name, verdicts, passed, said in (
            ("pesq", ["failed"], False, "worse"),
            ("stoi", ["passed"], True, "better"),
            ("cer", ["inconclusive"], True, "no difference"),
        )
    ]
    samples = [
        a_sentence(
            text=text, recognised=text.lower(), remarks=["repeats itself"], file=f"samples/sentence-{number}.flac",
            active_file=f"samples/sentence-{number}.active.flac", base_file=f"samples/sentence-{number}.base.flac",
        )
        for number, text in enumerate(SENTENCES, start=1)
    ]  # fmt: skip
    samples.append(a_sentence(text="Not played.", recognised="", remarks=[], file="", active_file="", base_file=""))
    return a_report(
        metrics=metrics,
        active=ActiveReport(revision="alice-0d1e2f3a", problem=""),
        similarity=SimilarityReport(
            names=GROUPS, counts=[3, 14, 14, 14], cells=[["0.912", "0.801", "0.790", "0.581"]] * 4
        ),
        clips=[
            ClipReport(
                id=name, text="She had your dark suit.", pesq="1.2", stoi="0.7", base_pesq="1.1", base_stoi="0.6"
            )
            for name in ("c1", "c2")
        ],
        samples=samples,
        prompt={"id": "c3", "text": "In greasy wash water all year.", "seconds": "4.00"},
        semantic={"held-out tokens, nats per token": "2.1"},
        recogniser="pocketsphinx, US English",
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, alone in its folder."""
    folder = tmp_path_factory.mktemp("evaluate")
    rng = np.random.default_rng(5)
    sweep = (np.sin(2 * np.pi * 2000 * np.linspace(0, 2, 2 * RATE) ** 2) + 0.01 * rng.normal(size=2 * RATE)).astype(
        "f4"
    )
    curves = [plot_curve("Mel loss", [Point(epoch, 30 / epoch, 1.0) for epoch in range(1, 9)], kept=6)]
    shown = dict(zip(KINDS, spectrograms([sweep] * len(KINDS)), strict=True))
    html = render_html(a_whole_report(folder), Pictures(curves, {"c1": shown}, some_recordings()), folder)
    page = tmp_path_factory.mktemp("alone") / "report.html"
    page.write_text(html, encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=SECONDS)
    with a_chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser, report: Path) -> Iterator[Callable[..., Page]]:
    """Open the page from its folder; nothing may go wrong in it, nor be asked for elsewhere."""
    pages: list[Page] = []
    wrong: list[str] = []

    def start(size: dict[str, int] = DESKTOP, scheme: str = "light") -> Page:
        context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: None if request.url.startswith("data:") else wrong.append(request.url))
        page.goto(report.as_uri())
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.context.close()
    assert set(wrong) == {report.as_uri()}


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where the caller of the tests wants them."""
    if folder := os.environ.get("REPORT_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, TELEPHONE], ids=["desktop", "telephone"])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    visit: Callable[..., Page], size: dict[str, int], scheme: str
) -> None:
    page = visit(size, scheme)
    expect(page.get_by_role("heading", level=1)).to_contain_text("studio/alice")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], "no sideways scrolling of the page"
    small = page.evaluate(
        "[...document.querySelectorAll('svg text')].filter(one => one.getBoundingClientRect().height < 9).length"
    )
    assert small == 0, "marks stay readable"
    marks = page.evaluate(
        "[...document.querySelectorAll('svg text')].filter(one => { const box = one.getBoundingClientRect();"
        " return box.left < 0 || box.right > innerWidth }).map(one => one.textContent)"
    )
    assert marks == []
    picture(page, f"report-{size['width']}-{scheme}")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_every_player_can_play_what_it_has(visit: Callable[..., Page]) -> None:
    page = visit()
    lengths = page.evaluate(
        """() => Promise.all([...document.querySelectorAll('audio')].map((one) => new Promise((done) => {
            const tell = () => done(one.duration);
            if (one.readyState) tell();
            one.addEventListener('loadedmetadata', tell);
            one.addEventListener('error', () => done(0));
        })))"""
    )
    assert len(lengths) == 15
    assert min(lengths) == pytest.approx(0.25, abs=0.01)


def test_a_blind_comparison_becomes_a_reason_for_the_approval(visit: Callable[..., Page]) -> None:
    page = visit()
    sources = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('audio[id^=sentence]')].map(one => [one.src, one.id]))"
    )
    assert len(set(sources)) == 3, "each condition has a sound of its own"
    for number in (1, 2):
        expect(page.locator("#progress")).to_have_text(f"Sentence {number} of 2. Play A and B, then choose.")
        choice = page.get_by_role("radio", name="A", exact=True)
        expect(choice).to_be_disabled()
        playing = {letter: page.evaluate(f"document.getElementById('{letter}').src") for letter in "ab"}
        for letter, left in (("a", "Play B, then choose."), ("b", "Choose.")):
            page.locator(f"#{letter}").focus()
            page.keyboard.press("Space")
            expect(page.locator("#progress")).to_have_text(f"Sentence {number} of 2. {left}")
        # The new voice has the first tone, under whichever letter it is.
        voice = next(letter for letter, source in playing.items() if "-active" not in sources[source])
        page.get_by_role("radio", name=voice.upper(), exact=True).focus()
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_be_focused()
    reason = (
        "blind comparison with alice-0d1e2f3a, 2 sentences: this voice 2, alice-0d1e2f3a 0, no difference 0; "
        "sign test p = 0.50"
    )
    expect(page.locator("#approve")).to_have_text(
        f"kubectl voice approve alice-3fa9c2d1 --namespace studio --reason '{reason}'"
    )
    expect(page.locator("#reject")).to_have_text(re.compile("^kubectl voice reject alice-3fa9c2d1 "))
    words = shlex.split(page.locator("#approve").inner_text())[3:]
    understood = approve.make_context("approve", words).params
    assert (understood["revision"], understood["namespace"]) == ("alice-3fa9c2d1", "studio")
    assert understood["reason"] == reason
    page.get_by_role("button", name="Listen again").click()
    expect(page.locator("#progress")).to_have_text("Sentence 1 of 2. Play A and B, then choose.")


def test_which_letter_is_which_is_drawn_each_time(visit: Callable[..., Page]) -> None:
    page = visit()
    drawn = page.evaluate(
        """() => {
            const seen = new Set();
            for (let turn = 0; turn < 64; turn += 1) {
                document.getElementById('again').click();
                seen.add(document.getElementById('a').src);
            }
            return seen.size;
        }"""
    )
    assert drawn == 2, "of two tones each is A at some time: never, by chance, once in 2^63"
