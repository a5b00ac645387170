"""Links between the repository's Markdown files, as they must be on the site; pure.

A page of the site is a file of docs/, or a file of the repository that such a page links to. README.md is the site's
index. A file that is no Markdown becomes a page that shows it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import PurePosixPath

DOCS = "docs/"
INDEX = "index.md"

_LINK = re.compile(r"(?P<before>!?\[(?:[^\]\\]|\\.)*\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")
_EXTERNAL = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def targets(markdown: str) -> set[str]:
    """Return the relative link targets of a page, without anchors."""
    found = (match["target"] for match in _LINK.finditer(markdown))
    return {target for target in found if not _EXTERNAL.match(target)}


def resolve(source: str, target: str) -> str:
    """Return the repository path that ``target`` in the file ``source`` names; a folder is named by its README.md."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    return f"{path}/README.md" if target.endswith("/") else path


def site_path(path: str) -> str:
    """Return the page of the site that shows a file of the repository."""
    if path == "README.md":
        return INDEX
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return path if path.endswith(".md") else f"{path}.md"


def rewrite(markdown: str, source: str, exists: Callable[[str], bool]) -> str:
    """Return the page with its relative links leading to pages of the site; links to nothing stay, to be reported."""
    here = PurePosixPath(site_path(source)).parent.as_posix()

    def link(match: re.Match[str]) -> str:
        target = match["target"]
        path = resolve(source, target)
        if _EXTERNAL.match(target) or not exists(path):
            return match[0]
        there = path.removeprefix(DOCS) if match["before"].startswith("!") else site_path(path)
        return f"{match['before']}{posixpath.relpath(there, here)}{match['anchor'] or ''}{match['after']}"

    return _LINK.sub(link, markdown)
