"""The one way to the terminal: whatever comes from outside is shown as visible characters, never obeyed.

A key, a note, an error of AWS or a record of the journal may hold escape sequences, line ends, characters that turn
the direction of writing, or brackets. `Screen` escapes all of that in every text that it renders, so that no caller
can forget to; its styles come from `Text` alone, never from marks in a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import rich.text
from rich.cells import cell_len
from rich.console import (
    Console,
    ConsoleDimensions,
    ConsoleOptions,
    Group,
    JustifyMethod,
    RenderableType,
    RenderResult,
)
from rich.segment import Segment
from rich.table import Table

# Default_Ignorable_Code_Point of the Unicode Character Database, as far as Python calls them printable: they are drawn
# as nothing, so that two names look the same; and a blank that is no space.
_DRAWN_AS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_WITHOUT_END = 100_000


def escaped(text: str) -> str:
    """``text`` on one line, with everything that is not a visible character as Python writes it: ``\\x1b``.

    That is C0, C1 and DEL, line ends and separators, bidi controls and isolates, zero-width characters, lone
    surrogates and unassigned characters (`str.isprintable`). Its own result stays as it is.
    """
    if text.isprintable() and not _DRAWN_AS_NOTHING.search(text):
        return text
    return "".join(
        each
        if each.isprintable() and not _DRAWN_AS_NOTHING.match(each)
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


class Text(rich.text.Text):
    """Styled text; what it is made of is escaped before it is measured."""

    def __init__(self, text: str = "", style: Any = "", **more: Any) -> None:
        super().__init__(escaped(text), style, **more)

    def append(self, text: Any, style: Any = None) -> Text:
        """Add text, escaped."""
        super().append(escaped(text) if isinstance(text, str) else text, style)
        return self


class Screen(Console):
    """Where words go. At a terminal lines end between words; no word is ever cut, so that ids can be copied.

    Args:
        stderr: standard error in place of standard output.
        is_plain: show nothing that moves, even at a terminal.
        more: as `rich.console.Console` has it, for tests.
    """

    def __init__(self, *, stderr: bool = False, is_plain: bool = False, **more: Any) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False, **more)
        self._is_plain = is_plain

    @property
    def is_live(self) -> bool:
        """Whether somebody looks at a terminal where something may be drawn again and again."""
        return self.is_terminal and not self.is_dumb_terminal and not self._is_plain

    @property
    def size(self) -> ConsoleDimensions:
        """A log has no width but the one that it is given; a terminal has its own."""
        found = super().size
        if self._has_width:
            return found
        return ConsoleDimensions(_WITHOUT_END, found.height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def print(self, *objects: Any, **how: Any) -> None:
        """As a console's, without cutting anything."""
        how.setdefault("crop", False)
        how.setdefault("overflow", "ignore")
        how.setdefault("no_wrap", not self.is_terminal)
        super().print(*objects, **how)

    def render_str(
        self, text: str, *, style: Any = "", justify: Any = None, overflow: Any = None, **_: Any
    ) -> rich.text.Text:
        """Plain text, whatever its brackets and colons look like."""
        return Text(text, style, justify=justify, overflow=overflow)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is shown comes through here, also what is inside of tables."""
        if isinstance(renderable, rich.text.Text) and escaped(renderable.plain) != renderable.plain:
            renderable = Text(renderable.plain, renderable.style, end=renderable.end)
        if isinstance(renderable, rich.text.Text) and options and self._ends_between_words(options):
            renderable = renderable if renderable.no_wrap else _wrapped(renderable, options.max_width)
        for segment in super().render(renderable, options):
            if segment.control or segment.text == "\n":
                yield segment
            else:
                yield Segment("\n".join(map(escaped, segment.text.split("\n"))), segment.style)

    @property
    def _has_width(self) -> bool:
        return self.is_terminal or self._width is not None

    def _ends_between_words(self, options: ConsoleOptions) -> bool:
        return self._has_width and options.overflow == "ignore" and not options.no_wrap


def _wrapped(text: rich.text.Text, width: int) -> rich.text.Text:
    """``text`` in lines of at most ``width`` cells, except for a longer word: Rich would cut or fold it.

    The rest of an indented line is indented a little more.
    """
    begins = len(text.plain) - len(text.plain.lstrip(" "))
    hang = " " * (begins + 2) if begins else ""
    ends, used = [], 0
    for word in re.finditer(r"\s*\S+", text.plain):
        taken = cell_len(word.group())
        if used and used + taken > width:
            ends.append(word.end() - len(word.group().lstrip()))
            used, taken = len(hang), cell_len(word.group().lstrip())
        used += taken
    first, *rest = text.divide(ends)
    for line in (first, *rest[:-1]):
        if rest:
            line.rstrip()
    wrapped = rich.text.Text("\n").join([first, *(rich.text.Text(hang).append_text(line) for line in rest)])
    wrapped.end = text.end
    return wrapped


class Rows:
    """A table; where the terminal is too narrow for it, one block a row, so that nothing is cut or folded.

    Args:
        columns: their names. rest: how every column but the first is aligned. styles: one a column.
        narrow: what is shown in place of the blocks.
    """

    def __init__(
        self,
        *columns: str,
        title: str = "",
        rest: JustifyMethod = "left",
        styles: Mapping[int, str] = MappingProxyType({}),
        narrow: RenderableType | None = None,
    ) -> None:
        self._columns = columns
        self._title = title
        self._rest = rest
        self._styles = styles
        self._narrow = narrow
        self._rows: list[list[rich.text.Text]] = []

    def add(self, *cells: str | rich.text.Text) -> None:
        """Add a row: a cell a column."""
        self._rows.append([Text(cell) if isinstance(cell, str) else cell for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(title=self._title or None, title_justify="left", box=None, pad_edge=False)
        for place, column in enumerate(self._columns):
            justify = self._rest if place else "left"
            table.add_column(column, justify=justify, no_wrap=True, style=self._styles.get(place, ""))
        for row in self._rows:
            table.add_row(*row)
        endless = options.update(max_width=_WITHOUT_END)
        fits = table.__rich_measure__(console, endless).maximum <= options.max_width
        if fits:
            yield table
            return
        # Blocks keep to the width that they were chosen for, also where it was given and nobody looks.
        yield from console.render(self._narrow or Group(*self._blocks()), options.update(no_wrap=False))

    def _blocks(self) -> Iterable[RenderableType]:
        if self._title:
            yield Text(self._title, "italic")
        for row in self._rows:
            yield row[0]
            told = Text("  ")
            for name, cell in zip(self._columns[1:], row[1:], strict=True):
                if cell.plain not in ("", "·"):
                    told.append(f"{name}: " if name else "", "dim").append(cell).append("  ")
            if told.plain.strip():
                yield told
