"""`regionshift report`: a run and how the environment stands, as one HTML file or as its data."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from regionshift import __version__
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.show import console, print_json, screen_of
from regionshift.errors import EXIT_OK
from regionshift.operations.report_data import report_data
from regionshift.report.page import as_page
from regionshift.surroundings import user_name


def run_report(choices: Choices, run: str | None, output: Path | None, *, opens: bool) -> int:
    """Write the page, and open it if asked; with --json print its data, and write a page only where --output says."""
    with opened(choices) as session:
        journal = session.journal
        data = report_data(
            session.environment,
            journal,
            session.catalog.store,
            run,
            by=user_name(),
            version=__version__,
        )
    if choices.as_json:
        print_json(data)
    if choices.as_json and output is None and not opens:
        return EXIT_OK
    path = output or Path(f"regionshift-{data['environment']['name']}.html")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_page(data), encoding="utf-8")
    console(choices).print(f"Wrote {path}")
    if opens and not webbrowser.open(path.resolve().as_uri()):
        screen_of(stderr=True).print(
            "No browser was found on this machine: open the file in one.", style="yellow"
        )
    return EXIT_OK
