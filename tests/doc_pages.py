"""The blocks of the documentation, and the commands in them.

Marks stand in a comment on the line before a block, and mean it alone, but the first, which means the page:

``<!-- begins with: X -->``   where the page's commands are run: a beginning of tests/e2e/test_doc_pages.py
``<!-- settings -->``         the block of YAML goes into the settings, as its reader would type it there
``<!-- ends with: N -->``     the exit code of the block's only command; ``N or M`` where it depends on the time
``<!-- not run: WHY -->``     the block needs an account, say; its commands are parsed all the same
"""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer.main

from regionshift.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (begins with|ends with|not run|settings)(?:: (.*?))? -->")
_WORD = re.compile(r"^[a-z][a-z-]*$")


@dataclass(frozen=True)
class Block:
    """One fenced block, and what its marks say."""

    language: str
    text: str
    line: int
    begins_with: str = ""
    ends_with: tuple[int, ...] = (0,)
    not_run: str = ""
    settings: bool = False


def pages() -> list[Path]:
    """Every page that shows commands; decisions tell of the past."""
    docs = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "adr"]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *docs]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    begins_with = next((found[2] for found in _MARK.finditer(text) if found[1] == "begins with"), "")
    found = []
    for fence in _FENCE.finditer(text):
        before = text[: fence.start()].rstrip().rpartition("\n")[2]
        marks = {mark[1]: mark[2] for mark in _MARK.finditer(before)}
        found.append(
            Block(
                fence[2],
                textwrap.dedent(fence[3]).rstrip("\n"),
                text.count("\n", 0, fence.start()) + 1,
                begins_with,
                tuple(map(int, (marks.get("ends with") or "0").split(" or "))),
                marks.get("not run") or "",
                "settings" in marks,
            )
        )
    return found


def commands_in(page: Path) -> list[str]:
    """Every command line of `regionshift` in the blocks of a page."""
    shown: list[str] = []
    for block in blocks_of(page):
        lines = block.text.replace("\\\n", " ").splitlines()
        if block.language != "sh":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        shown += [_alone(line) for line in lines if _RUN.search(line)] if block.language in _SHOWN else []
    return shown


def commands_named_in(page: Path) -> list[str]:
    """Every command with options in the text of a page, between backquotes; arguments may be left out there."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    named = [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]
    first = {*_group().commands}
    return [code for code in named if code.startswith("regionshift ")] + [
        f"regionshift {code}"
        for code in named
        if code.split()[:1] and code.split()[0] in first and " --" in code
    ]


_SHOWN = ("sh", "console", "")
_RUN = re.compile(r"(?:^|[( ])(regionshift [^#]*)")


def _alone(line: str) -> str:
    """The command of a line that has more around it: variables, a substitution, what follows, a comment."""
    command = _RUN.search(line)
    assert command is not None
    return re.split(r" *&& *| *\|\| | > |\)", command[1])[0].strip()


@cache
def _group() -> Any:
    return typer.main.get_command(app)


def parse_command(text: str, *, whole: bool = True) -> None:
    """Have the real command line parse it, and run nothing.

    Args:
        whole: nothing that the command needs may be left out.

    Raises:
        AssertionError: there is no such command, option or value.
    """
    words = shlex.split(text.replace("…", "x"))[1:]
    # `[RUN]`: what may be left out. `preview|deploy`: one of them.
    words = [word.strip("[]").partition("|")[0] for word in words]
    group: Any = _group()
    path = ["regionshift"]
    if words and words[0] == "COMMAND":
        return
    while words and hasattr(group, "commands") and _WORD.match(words[0]):
        assert words[0] in group.commands, f"{text}: No such command {words[0]}"
        path.append(words[0])
        group = group.commands[words.pop(0)]
    if hasattr(group, "commands"):
        assert words in ([], ["--version"], ["--help"], ["-h"]), f"{text}: No such command"
        return
    try:
        group.make_context(" ".join(path), [_sample(word) for word in words], resilient_parsing=False)
    except typer.Exit:
        return
    except Exception as error:
        if not hasattr(error, "format_message"):  # what Typer says of wrong use, whichever click it brings
            raise
        if not whole and re.search(r"^Missing |requires an argument", error.format_message()):
            return
        raise AssertionError(f"{text}: {error.format_message()}") from error


def _sample(word: str) -> str:
    """A value for a placeholder that has to be a number."""
    return "1" if word in ("NUMBER", "$regionshift_wave", "N") else word
