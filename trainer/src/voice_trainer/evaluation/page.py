"""How the trainer's pages are rendered: values escaped, and a policy that allows a page's own parts and no others."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

PACKAGE: Final = "voice_trainer.evaluation"
STYLE: Final = "report.css"


def render_page(template: str, *, script: str = "", media: str, **values: Any) -> str:
    """Render a template with its style and script inside.

    Args:
        template: its name below ``templates/``.
        script: a file beside it; empty: the page runs none.
        media: where sounds may come from, in the words of a Content-Security-Policy.
        values: what the template shows.
    """
    environment = Environment(
        loader=PackageLoader(PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, code = _text(STYLE), _text(script) if script else ""
    own = {"style": Markup(style), "script": Markup(code)}  # noqa: S704 -- files of this package
    page = environment.get_template(template).render(policy=_policy(style, code, media), **own, **values)
    return page.strip() + "\n"


def data_uri(kind: str, data: bytes) -> str:
    """Return an image or a sound as a URI that needs no file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _text(name: str) -> str:
    return files(PACKAGE).joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str, media: str) -> str:
    scripts = f"script-src {_source(script)}; " if script else ""
    sources = f"style-src {_source(style)}; {scripts}img-src data:; media-src {media}"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
