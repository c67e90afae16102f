"""The report as one HTML file: its data as JSON, and what draws it, all inside; nothing is fetched from anywhere.

The page reads that JSON and nothing else, and writes it as text, never as HTML. A policy in the page (Content Security
Policy Level 3) lets run only the scripts and styles whose digests it names, and lets nothing be asked of any host.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from regionshift.report.printer import escaped

_SCRIPTS = ("d3.min.js", "topojson-client.min.js", "page.js")


def as_page(data: Mapping[str, Any]) -> str:
    """The report of `operations.report_data.report_data` as HTML.

    Every text in it is on one line and visible: what would turn the direction of writing or hide is escaped as at a
    terminal.
    """
    texts = {name: asset(name) for name in (*_SCRIPTS, "page.css", "NOTICES.txt", "countries-110m.json")}
    scripts = [Markup(texts[name]) for name in _SCRIPTS]
    style = Markup(texts["page.css"])
    shown = _visible(data)
    return (
        _templates()
        .get_template("page.html")
        .render(
            title=f"{shown['environment']['name']} – regionshift report",
            version=shown["made"]["version"],
            policy=_policy(scripts, style),
            style=style,
            scripts=scripts,
            notices=texts["NOTICES.txt"],
            world=Markup(texts["countries-110m.json"]),
            data=shown,
        )
    )


def asset(name: str) -> str:
    """A file of the page. Those of others are as they came; `NOTICES.txt` says from where, with their digests."""
    return files("regionshift.report").joinpath("assets", name).read_text(encoding="utf-8")


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("regionshift.report", "assets"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
    )


def _policy(scripts: list[Markup], style: Markup) -> str:
    allowed = " ".join(_digest(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_digest(style)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return {escaped(str(name)): _visible(each) for name, each in value.items()}
    return [_visible(each) for each in value] if isinstance(value, list | tuple) else value
