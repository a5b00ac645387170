"""The report on recordings in Chromium: on a desk and on a telephone, light and dark, with sounds that play."""

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.trainer.evaluation.test_recordings_report import a_clip, a_report

from voice_trainer.evaluation.recordings_report import FindingReport, write_recordings_report

DESKTOP, TELEPHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
WRONG = FindingReport(clip="b2", reason="WrongText", message="wavs/b2.wav: " + "write what is said " * 9, rejected=True)
WORD = "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft"
# WCAG's contrast ratio of a text and what is behind it, of all texts; 4.5 is enough for small ones.
CONTRASTS = """() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = colour => colour.slice(0, 3).map(part => part / 255)
        .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const sheet = document.body.appendChild(document.createElement('i'));
    sheet.style.backgroundColor = 'Canvas';
    const canvasColour = rgba(getComputedStyle(sheet).backgroundColor);
    return [...document.querySelectorAll('h1,h2,h3,p,span,b,th,td,figcaption')].map(one => {
        const [first, second] = [light(rgba(getComputedStyle(one).color)), light(canvasColour)].sort((a, b) => b - a);
        return (first + 0.05) / (second + 0.05);
    });
}"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "`make setup` installs chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])  # root has none
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("recordings")
    clips = [
        a_clip(findings=[], recognised="hello", transcribed=False),
        a_clip(id="b2", rejected=True, file="rejected/b2.flac", other_file="", text=WORD, findings=[WRONG]),
        a_clip(id="c3", values={"clippedPercent": 0.5, "textErrors": 50.0}, transcribed=True),
    ]
    write_recordings_report(folder, a_report(*clips))
    for clip in clips:
        for file in filter(None, (clip.file, clip.other_file)):
            (folder / file).parent.mkdir(exist_ok=True)
            soundfile.write(folder / file, 0.1 * np.sin(np.arange(8000) / 5), 16_000)
    return (folder / "recordings.html").as_uri()


@pytest.fixture(params=[(DESKTOP, "light"), (DESKTOP, "dark"), (TELEPHONE, "light")], ids=["desk", "dark", "telephone"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open the page; nothing may go wrong in it."""
    size, scheme = request.param
    context = browser.new_context(viewport=size, color_scheme=scheme)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(address)
    yield page
    context.close()
    assert errors == []


def test_it_fits_and_can_be_read(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the window"
    wide = "[...document.querySelectorAll('article')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.evaluate(wide) == 0, "nor than its card"
    assert min(page.evaluate(CONTRASTS)) >= 4.5


def test_the_worst_come_first_and_every_sound_plays(page: Page) -> None:
    assert [one.get_attribute("aria-label") for one in page.get_by_role("article").all()] == ["b2", "c3", "a1"]
    badges = page.locator(".badge")
    expect(badges).to_have_text(["left out", "used, with a warning", "used"])
    expect(page.get_by_role("article", name="c3")).to_contain_text("The recogniser wrote this text.")
    players = page.locator("audio")
    assert players.count() == 5
    for player in players.all():
        assert player.get_attribute("aria-label")
        seconds = (
            "player => new Promise(told => { player.onloadedmetadata = () => told(player.duration); player.load() })"
        )
        assert player.evaluate(seconds) == pytest.approx(0.5, abs=0.01)
