"""What a command shows as a comment on a pull request: Markdown of bounded size, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from regionshift.report.plan_view import CHANGES, PlanSection
from regionshift.report.printer import Screen

MOST_CHARACTERS = 65_536
"""Of a comment: GitHub's API refuses more ("body is too long (maximum is 65536 characters)")."""
_WIDTH = 100
_LONGEST_LINE = 1_000
_LEFT_OUT = "… and {} more: the artifact of this run has all of it\n"


def as_comment(what: str, sections: Sequence[PlanSection]) -> str:
    """``sections`` as they look at a terminal, a block of code each, under ``what``, which the first line has too.

    In a block of code nothing is a mention, a link, a heading or HTML (GitHub Flavored Markdown Spec, "Fenced code
    blocks"). The fences are longer than any row of backticks inside, so that nothing from outside ends one. What
    changes is folded away, and gets what room the others leave; of a section that is too long the first entries are
    shown and the others counted.
    """
    shown = [_Block(each) for each in sections]
    name = re.sub(r"[^A-Za-z0-9 ._/-]", "?", what)[:_LONGEST_LINE]
    rows = (row for block in shown for line in block.lines for row in re.findall("`+", line))
    fence = "`" * max(3, 1 + max(map(len, rows), default=0))
    head = f"<!-- regionshift {name} -->\n### regionshift {name}\n"
    room = MOST_CHARACTERS - len(head) - sum(len(block.around(fence)) for block in shown)
    share = room // max(1, len(shown))
    bodies = {}
    for block in sorted(shown, key=lambda each: each.is_last):
        bodies[block] = block.body(room if block.is_last else min(room, share))
        room -= len(bodies[block])
    return head + "".join(block.around(fence, bodies[block]) for block in shown)


class _Block:
    """One section: its lines, each with the number of the entry that it is of."""

    def __init__(self, section: PlanSection) -> None:
        self._section = section
        self.is_last = section.title == CHANGES
        self._of: list[int] = []
        self.lines: list[str] = []
        for number, part in enumerate(self._parts(), start=-1):
            found = list(_lines(part))
            self.lines += found
            self._of += [number] * len(found)

    def _parts(self) -> Iterator[Sequence[RenderableType]]:
        yield [self._section.head] if self._section.head else []
        yield from (entry.lines for entry in self._section.entries)

    def around(self, fence: str, body: str = "") -> str:
        """The section in Markdown, with what is in its block of code."""
        heading = f"\n#### {self._section.title}\n" if self._section.title else ""
        count = sum(entry.count for entry in self._section.entries)
        begin, end = ("", "")
        if self.is_last:
            begin, end = f"<details><summary>{count} resources</summary>\n\n", "\n</details>\n"
        return f"{heading}\n{begin}{fence}text\n{body}{fence}\n{end}"

    def body(self, room: int) -> str:
        """As many lines as fit into ``room`` characters, and how many entries are not whole."""
        taken, left = 0, room
        if sum(len(line) + 1 for line in self.lines) > room:
            left -= len(_LEFT_OUT.format(1_000_000))
        for line in self.lines:
            if len(line) + 1 > left:
                break
            taken, left = taken + 1, left - len(line) - 1
        body = "".join(f"{line}\n" for line in self.lines[:taken])
        if taken == len(self.lines):
            return body
        entries = self._section.entries
        cut = sum(entries[number].count for number in {*self._of[taken:]} if number >= 0)
        return body + _LEFT_OUT.format(cut)


def _lines(parts: Sequence[RenderableType]) -> Iterator[str]:
    screen = Screen(width=_WIDTH, color_system=None, force_terminal=False)
    with screen.capture() as taken:
        for part in parts:
            screen.print(part)
    for line in taken.get().rstrip("\n").split("\n") if parts else ():
        shown = line.rstrip()
        yield shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}…"
