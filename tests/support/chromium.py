"""A real Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright


@contextmanager
def a_chromium() -> Iterator[Browser]:
    """Start the machine's Chromium; pages may not play sounds before they are clicked."""
    program = shutil.which("chromium")
    assert program, "`make setup` installs chromium"
    flags = ["--no-sandbox", "--autoplay-policy=document-user-activation-required"]  # root has no sandbox
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield started
        finally:
            started.close()
