"""A real Chromium, and a real server whose page it opens."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request
from tests.support.chromium import a_chromium

from voice_inference.access.api_keys import digest_of, new_key

DESKTOP, TELEPHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")  # Playwright has an event loop of its own in this thread while it runs
def browser() -> Iterator[Browser]:
    with a_chromium() as started:
        yield started


class Visit:
    """One visitor: the page, and what went wrong or elsewhere in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)
        page.on("request", self._request)
        page.goto(f"{address}/")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "the server responded with a status of" not in message.text:
            self.errors.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.address}/", f"blob:{self.address}/")):
            self.elsewhere.append(request.url)

    def speak(self) -> None:
        self.page.get_by_role("button", name="Speak", exact=True).click()

    def painted(self, canvas: str = "wave") -> int:
        """How many pixels of the waveform, or of another canvas, are not empty."""
        script = """id => {
            const canvas = document.getElementById(id);
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.filter((value, index) => index % 4 === 3 && value > 0).length;
        }"""
        return int(self.page.evaluate(script, canvas))


@pytest.fixture
def server(make_bundle: Any, desired: Any, start_process: Any, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a server with two voices; returns its address."""
    running: list[Any] = []

    def start(*flags: str) -> str:
        alice, bob = make_bundle(), make_bundle("studio/bob")
        alice.voice |= {"scores": {"pesq": "3.21", "<img src=x onerror=alert(1)>": "1"}}
        alice.voice |= {"consent": {"expires": "2099-11-01"}}
        alice.speak_samples("The first sentence.", "<b>Another</b> one.")
        alice.write()
        broken = make_bundle("studio/carol")
        reference = broken.seal()
        (broken.folder / "prompt.safetensors").unlink()
        desired.write(alice.seal(), bob.seal(), reference)
        context = start_process(*flags)
        process = context.__enter__()
        running.append(context)
        return str(process.client.base_url).rstrip("/")

    yield start
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open the page of a server; nothing may go wrong in it, nor be asked for elsewhere."""
    visits: list[Visit] = []

    def start(address: str, size: dict[str, int] | None = None, **options: Any) -> Visit:
        context = browser.new_context(viewport=size or DESKTOP, **options)  # type: ignore[arg-type]
        visits.append(Visit(context.new_page(), address))
        return visits[-1]

    yield start
    for one in visits:
        one.page.context.close()
    assert [one.errors for one in visits] == [[] for _ in visits]
    assert [one.elsewhere for one in visits] == [[] for _ in visits]


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A key for `studio/alice`, in the folder `keys`."""
    made = new_key()
    (tmp_path / "keys").mkdir()
    entry = {"id": "page", "sha256": digest_of(made), "voices": ["studio/alice"]}
    (tmp_path / "keys" / "page.json").write_text(json.dumps(entry))
    return made
