"""Reads the prose of the documentation for our style: `python tools/prose.py [PAGE...]`.

A sentence has at most 30 words. Some words and turns have a better one. Code, links' addresses and transcripts are
not prose; cells of tables may be long, but mind their words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
MOST_WORDS = 30
# What to write instead. The left side is a regular expression, without regard to case.
BETTER: dict[str, str] = {
    r"\b(is|are|was|were|be) gone on with\b": "`resume` continues it",
    r"\bgo(es)? on with (it|what|whatever|a|the)\b": "continues",
    r"\bnothing of it happens\b": "say what allows it: Allowed by --option.",
    r"\ba field that is not there\b": "unknown field",
    r"\bmend(s|ed|ing)? (the|your|it|what|that)\b": "fix",
    r"\bthe place that it is remembered in\b": "the state bucket",
    r"\ba no is\b": "if you decline",
    r"\b(is|are) told of\b": "report, show, or get a message",
    r"\b(is|are) told (as|by|that|above)\b": "say who shows it, and where",
    r"\bmade anew\b": "made again",
    r"\breckon(s|ed)?\b": "compute, estimate",
    r"\bis lacking\b": "is missing",
    r"\bwants leave\b": "needs permission",
    r"\blay(s)? (it|them) down\b": "creates",
    r"\bapart by blanks\b": "separated by spaces",
    r"\bfor good\b": "permanently",
    r"\bin spite of\b": "despite",
    r"\b(stand|stands|stood) up\b": "create",
    r"\btaken for right\b": "accepted",
    r"\bby hand from\b": "manually from",
    r"\bsome (ten|five|two|three|twelve|forty) minutes\b": "about … minutes",
    r"\butili[sz]e": "use",
    r"\bin order to\b": "to",
    r"\bsimply\b|\bobviously\b|\bof course\b": "leave it out",
    r"\bplease\b": "leave it out",
    r"\bit should be noted\b": "leave it out",
}
_RULES = [(re.compile(pattern, re.IGNORECASE), better) for pattern, better in BETTER.items()]
_END = re.compile(r"(?<=[.!?])[)\"”]?\s+(?=[\"“(]?[A-Z`0-9…§])")
# Where a dot ends no sentence.
_DOTS = re.compile(r"\b(e\.g|i\.e|etc|cf|vs|St|No)\.")


@dataclass(frozen=True)
class Remark:
    """One place to write better."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        path = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path
        return f"{path}:{self.line}: {self.what}"


def remarks_on(path: Path) -> Iterator[Remark]:
    """What is to be written better on a page."""
    for line, text, is_cell in _texts(path.read_text(encoding="utf-8")):
        for rule, better in _RULES:
            for found in rule.finditer(text):
                yield Remark(path, line, f'"{found[0]}": {better}')
        if is_cell:
            continue
        for sentence in _END.split(_DOTS.sub(r"\1", text)):
            count = len(re.findall(r"[^\W_][\w'’./-]*", sentence))
            if count > MOST_WORDS:
                yield Remark(path, line, f"{count} words, of {MOST_WORDS}: {sentence[:70]}…")


def _texts(document: str) -> Iterator[tuple[int, str, bool]]:
    """Line, text (a piece of code is one word) and whether it is a cell, of each paragraph, item, heading and cell."""
    line, cell = 1, False
    for token in MarkdownIt("commonmark").enable("table").parse(document):
        if token.map is not None and token.type != "inline":
            line = token.map[0] + 1
        if token.type in ("td_open", "th_open"):
            cell = True
        elif token.type in ("td_close", "th_close"):
            cell = False
        elif token.type == "inline":
            yield (token.map[0] + 1 if token.map else line), _plain(token.children or ()), cell


def _plain(tokens: Iterable[Token]) -> str:
    words = {"code_inline": "`code`", "softbreak": " ", "hardbreak": " "}
    return "".join(words.get(token.type, token.content if token.type == "text" else "") for token in tokens)


def prose_pages() -> list[Path]:
    """What is read for style: what a user reads. Decisions are kept as they were taken."""
    docs = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "adr"]
    return [ROOT / "README.md", *docs]


def main() -> int:
    """Print every remark; 1 when there is one."""
    pages = [Path(name).resolve() for name in sys.argv[1:]] or prose_pages()
    found = [remark for page in pages for remark in remarks_on(page)]
    for remark in found:
        print(remark)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
