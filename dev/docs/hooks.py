"""mkdocs hooks: pages that are made from code, files that pages link to, and links that lead to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # mkdocs loads hooks by path, and dev/ is no installed package

from dev.docs import links, reference, registries, schema_pages  # noqa: E402 -- after the path

KINDS = ("voicemodel", "voicerevision", "voiceserver")
START = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "charts/voice-operator/README.md")
LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", ".py": "python"}

_sources: dict[str, str] = {}
"""Page of the site -> file of the repository that it shows, for rewriting links."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what docs/ does not hold: references, the repository's own pages, and every file that a page links to."""
    _sources.clear()
    for file in files.documentation_pages():
        _sources[file.src_uri] = f"{links.DOCS}{file.src_uri}"
    for name, text in _references().items():
        files.append(File.generated(config, name, content=text))
    waiting = [*START, *_sources.values()]
    while waiting:
        path = waiting.pop()
        page = links.site_path(path)
        if not path.startswith(links.DOCS) and page not in _sources:
            _sources[page] = path
            files.append(File.generated(config, page, content=_shown(path)))
        if path.endswith(".md"):
            found = (links.resolve(path, target) for target in links.targets(_read(path)))
            waiting += [target for target in found if _is_file(target) and links.site_path(target) not in _sources]
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Make the links between the repository's files lead to pages of the site."""
    source = _sources.get(page.file.src_uri)
    return markdown if source is None else links.rewrite(markdown, source, _is_file)


def _references() -> dict[str, str]:
    pages = {
        "reference/commands.md": reference.commands_page(),
        "reference/metrics.md": reference.metrics_page(registries.all_registries()),
        "reference/reasons.md": reference.reasons_page(),
    }
    for kind in KINDS:
        crd = yaml.safe_load((REPOSITORY / "crds" / f"{kind}s.voice.sovits.dev.yaml").read_text(encoding="utf-8"))
        pages[f"reference/{kind}.md"] = schema_pages.resource_page(crd)
    return pages


def _shown(path: str) -> str:
    """Return a file of the repository as a page: Markdown as it is, anything else as code under its name."""
    text = _read(path)
    if path.endswith(".md"):
        return text
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{text.rstrip()}\n````\n"


def _read(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


def _is_file(path: str) -> bool:
    return not path.startswith("..") and (REPOSITORY / path).is_file()
