"""What a command shows as a comment on a pull request: Markdown of bounded size, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import RenderableType

from regionshift.report.printer import Screen

MOST_CHARACTERS = 65_536
"""Of a comment: GitHub's API refuses more ("body is too long (maximum is 65536 characters)")."""
_WIDTH = 100
_LONGEST_LINE = 1_000
_CUT = "\n{count} more lines are in the artifact of this run.\n"


def as_comment(what: str, parts: Sequence[RenderableType]) -> str:
    """``parts`` as they look at a terminal, in one block of code under ``what``, which the first line has too.

    In a block of code nothing is a mention, a link, a heading or HTML (GitHub Flavored Markdown Spec, "Fenced code
    blocks"). Its fence is longer than any row of backticks inside, so that nothing from outside ends it.
    """
    screen = Screen(width=_WIDTH, color_system=None, force_terminal=False)
    with screen.capture() as taken:
        for part in parts:
            screen.print(part)
    lines = [_short(line.rstrip()) for line in taken.get().rstrip().split("\n")]
    name = re.sub(r"[^A-Za-z0-9 ._/-]", "?", what)[:_LONGEST_LINE]
    fence = "`" * max(3, 1 + max((len(row) for row in re.findall("`+", "\n".join(lines))), default=0))
    head, tail = f"<!-- regionshift {name} -->\n### regionshift {name}\n\n{fence}text\n", f"{fence}\n"
    room = MOST_CHARACTERS - len(head) - len(tail)
    if sum(len(line) + 1 for line in lines) > room:
        room -= len(_CUT.format(count=len(lines)))
        shown = 0
        while len(lines[shown]) + 1 <= room:
            room -= len(lines[shown]) + 1
            shown += 1
        tail += _CUT.format(count=len(lines) - shown)
        lines = lines[:shown]
    return head + "".join(f"{line}\n" for line in lines) + tail


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"
