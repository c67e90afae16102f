"""`regionshift ci`: the files of a pipeline, written from the settings."""

from __future__ import annotations

from regionshift.cli.opening import settings_of
from regionshift.cli.options import Choices
from regionshift.cli.show import console, print_json
from regionshift.errors import EXIT_FAILED, EXIT_OK
from regionshift.operations.pipelines.files import Place, github_files, gitlab_files, looked_at, write_files
from regionshift.report.printer import Text

_FILES = {"github": github_files, "gitlab": gitlab_files}


def run_ci(choices: Choices, ci: str, *, check: bool, overwrite: bool) -> int:
    """Write the files of ``ci``, or with ``check`` only say whether they are what they would be; 1 when not."""
    config = settings_of(choices)
    place = Place.of(choices.config)
    files = looked_at(place.root, ci, _FILES[ci](config, place))
    screen = console(choices)
    for each in files:
        if each.state == "changed and outdated" and not overwrite and not choices.as_json:
            for line in each.diff.splitlines():
                screen.print(Text(line, style={"+": "green", "-": "red"}.get(line[:1], "")))
    is_old = any(each.state not in ("current", "changed") for each in files)
    written = [] if check else write_files(place.root, files, overwrite=overwrite)
    if choices.as_json:
        states = [{"path": each.path, "state": each.state} for each in files]
        print_json(
            {
                "files": states,
                "written": written,
                "diffs": {e.path: e.diff for e in files if e.state != "current"},
            }
        )
    else:
        for each in files:
            screen.print(f"{'written' if each.path in written else each.state:<22}{each.path}")
        if ci == "github" and not config.deployment.approve:
            screen.print(
                "No wave is approved by a person: deployment.approve in the settings names those that are."
            )
        if check and is_old:
            screen.print(f"  → regionshift ci {ci}", style="dim")
    return EXIT_FAILED if check and is_old else EXIT_OK
