"""The HTML page: players and spectrograms of every condition, speaker by speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

HEADINGS = {
    "recording": "recording",
    "copy_synthesis": "copy-synthesis",
    "token_forced": "token-forced",
    "flite": "flite itself",
    "base": "base voice",
    "zero_shot": "zero-shot",
    "fine_tuned": "fine-tuned",
}
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 78rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
td, th { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid #8884; vertical-align: top }
audio { height: 2rem; width: 15rem; display: block }
td img { width: 15rem; display: block }
.text { max-width: 15rem; font-size: .85rem; opacity: .8 }
.plot { width: 100%; background: #fff }
pre { overflow-x: auto }
"""


def page(document: Mapping[str, Any], tables: str, plot: str, pictures: Mapping[str, str]) -> str:
    """Return the page; it refers to files of its own folder alone.

    Args:
        document: voice.json.
        tables: as plain text.
        plot: the plot's file.
        pictures: spectrograms by the file of their audio.
    """
    base = document["base"]
    about = f"Base {base['name']}, {base['digest'][:19]}…, {document['spoken']} sentences a voice."
    parts = [
        f"<h1>Voices on {escape(base['name'])}</h1><p>{escape(about)}</p>",
        f'<img class="plot" alt="word error rates, SECS, durations" src="{escape(plot, quote=True)}">',
        f"<pre>{escape(tables)}</pre>",
        "<h2>Base voices</h2>",
    ]
    for voice, one in document["base_voices"].items():
        parts.append(f"<h3>{escape(voice)}</h3>{_table(one['samples'], ('flite', 'base'), pictures)}")
    for speaker, one in document["speakers"].items():
        note = "in the base's training data" if one["seen"] else "unseen: not in the base's training data"
        parts.append(f"<h2>Speaker {escape(speaker)}</h2><p>{note}</p>")
        parts.append(_table(one["samples"], ("recording", "copy_synthesis", "token_forced"), pictures))
        parts.append(_table(one["samples"], ("zero_shot", "fine_tuned"), pictures))
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Voices</title>'
    body = f"<body>{''.join(parts)}</body>"
    return f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style></head>{body}</html>\n'


def _table(
    samples: Mapping[str, Sequence[Mapping[str, Any]]], conditions: Sequence[str], pictures: Mapping[str, str]
) -> str:
    heads = "".join(f"<th>{HEADINGS[condition]}</th>" for condition in conditions)
    rows = []
    for same in zip(*(samples[condition] for condition in conditions), strict=True):
        if all(sample["file"] for sample in same):
            cells = "".join(f"<td>{_player(sample, pictures)}</td>" for sample in same)
            rows.append(f'<tr><td class="text">{escape(same[0]["text"])}</td>{cells}</tr>')
    return f"<table><tr><th>text</th>{heads}</tr>{''.join(rows)}</table>"


def _player(sample: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    file = sample["file"]
    recognised = escape(sample["recognised"] or "nothing")
    picture = f'<img alt="spectrogram" loading="lazy" src="{escape(pictures[file], quote=True)}">'
    player = f'<audio controls preload="none" src="{escape(file, quote=True)}"></audio>'
    return f'{picture}{player}<div class="text">recognised: {recognised}</div>'
