"""The playground at ``/``: static files that may load nothing from elsewhere, and run no script but their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

PAGE: Final = "index.html"
MEDIA_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def playground() -> APIRouter:
    """Return the routes of the page and of each of its files."""
    router = APIRouter()
    for file in files("voice_inference.playground").iterdir():
        name = file.name
        if media_type := MEDIA_TYPES.get(name.rpartition(".")[2]):
            is_page = name == PAGE
            add = router.get(
                "/" if is_page else f"/playground/{name}", response_class=HTMLResponse, include_in_schema=is_page
            )
            add(_answer(file.read_bytes(), media_type))
    return router


def _answer(content: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def page() -> Response:
        """Answer with the playground, a page for people."""
        return Response(content, media_type=media_type, headers=HEADERS)

    return page
