"""Makes a picture of a command's terminal: `python tools/picture.py OUT.svg COLUMNSxLINES COMMAND...`.

tmux runs the command, so the picture shows the screen as a user sees it. It is taken when the command ends, or when the
text in the variable PICTURE_AT is on the screen.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

PATIENCE_S = 900.0


def screen_of(command: list[str], columns: int, lines: int, at: str) -> str:
    """Return tmux's screen with its colours."""
    name = f"picture-{os.getpid()}"
    tmux = ["tmux", "-L", name]
    shown = f"{shlex.join(command)}; tmux -L {name} wait-for -S ended; sleep {PATIENCE_S}"
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", str(columns), "-y", str(lines), "bash", "-c", shown], check=True
    )
    try:
        if at:
            until = time.monotonic() + PATIENCE_S
            while at not in _captured(tmux) and time.monotonic() < until:
                time.sleep(0.2)
        else:
            subprocess.run([*tmux, "wait-for", "ended"], check=True, timeout=PATIENCE_S)
        return _captured(tmux)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def _captured(tmux: list[str]) -> str:
    asked = [*tmux, "capture-pane", "-e", "-p"]
    return subprocess.run(asked, check=True, text=True, capture_output=True).stdout


def main() -> None:
    """Write the picture."""
    out, size, *command = sys.argv[1:]
    columns, lines = map(int, size.split("x"))
    screen = screen_of(command, columns, lines, os.environ.get("PICTURE_AT", ""))
    console = Console(record=True, width=columns, file=io.StringIO())
    console.print(Text.from_ansi(f"$ {shlex.join(command)}\n{screen.rstrip()}"))
    drawn = console.export_svg(title=command[0])
    # Rich's picture would fetch a font; without it, the viewer's font is used.
    Path(out).write_text(re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
