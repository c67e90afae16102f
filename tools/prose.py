"""Checks prose against the house style (CONTRIBUTING.md, "Prose"): `python tools/prose.py [PAGE | MODULE | FOLDER...]`.

A sentence has at most 30 words. Some words and turns have a better one. Code, addresses of links and transcripts are
no prose. Cells of tables may be long, but their words are checked. In Python, docstrings and texts are prose: a text
is a string of at least four words.
"""

from __future__ import annotations

import ast
import inspect
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
    r"\b(is|are) told\b(?! apart)": "say who reports or shows it, and where",
    r"\btells? of\b": "reports, names",
    r"\bhears? of\b": "gets a message about",
    r"\banew\b": "again",
    r"\bbut for\b": "except",
    r"\bwhoever\b": "anyone who, everyone who, the caller",
    r"\bgo(es)? by\b": "uses, depends on",
    r"\b(is|are) to be\b": "must be, will be",
    r"\bwhat stands\b(?! in the way)": "what is deployed, the resources",
    r"\bof what (is|was|are|were|it|they)\b": "name the thing",
    r"\bheld against\b": "compared with",
    r"\btake[sn]? for\b": "treats as, accepts as",
    r"\btwice over\b": "twice",
    r"\bputs? right\b": "fixes",
    r"\bwith(out)? leave\b": "with permission",
    r"\bas \w+ has (it|them)\b": "as … defines it",
    r"^(so that|nor|thus)\b": "begin with the actor",
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
    r"\bplease\b(?! (reduce|try again))": "leave it out (AWS's own texts have the others)",
    r"\bit should be noted\b": "leave it out",
}
_RULES = [(re.compile(pattern, re.IGNORECASE), better) for pattern, better in BETTER.items()]
# "What was written goes back": a clause as the subject of its sentence, told by two verbs with no conjunction between.
_VERB = (
    r"(is|are|was|were|can|cannot|must|may|will|would|goes|go|stays|lies|counts|comes|makes|stands|gets|needs|keeps"
    r"|takes|says|does|shows|has|have)"
)
_NO_CONJUNCTION = (
    r"((?!\b(when|if|that|and|or|while|before|after|until|whether|where|how|which|who|what|than|so|as)\b)"
    r"[^.:;,?])"
)
_CLAUSE_FIRST = re.compile(
    rf"^(What|Whatever|Who)\b[^.:;,?]*?\s{_VERB}\s{_NO_CONJUNCTION}*?\b{_VERB}\b[^?]*$"
)
_END = re.compile(r"(?<=[.!?])[)\"”]?\s+(?=[\"“(]?[A-Z`0-9…§])")
# A quoted title or message counts as one word.
_TITLE = re.compile(r'"[^"]*"')
# Where a dot ends no sentence.
_DOTS = re.compile(r"\b(e\.g|i\.e|etc|cf|vs|St|No)\.")

# A text in code has at least so many words; a shorter string, or a pattern, is no prose.
_FEWEST_WORDS = 4
# What a docstring has beside paragraphs: "Args:", and below it an item for each name.
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Examples?):\n", re.MULTILINE)
_COMMANDS = re.compile("\b\n(.+\n?)*")  # the examples of a command: click keeps their lines
_ARGUMENT = re.compile(r"^ {4}(?=\*{0,2}\w+(, \w+)*: )", re.MULTILINE)


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
    """The remarks on a page, a module, or every module in a folder."""
    if path.is_dir():
        for module in sorted(path.rglob("*.py")):
            yield from remarks_on(module)
        return
    document = path.read_text(encoding="utf-8")
    for line, text, is_cell in _texts_of_code(document) if path.suffix == ".py" else _texts(document):
        for rule, better in _RULES:
            for found in rule.finditer(text):
                yield Remark(path, line, f'"{found[0]}": {better}')
        for sentence in _END.split(_DOTS.sub(r"\1", text)):
            if _CLAUSE_FIRST.match(sentence):
                yield Remark(path, line, f"name the thing first: {sentence[:70]}…")
            if is_cell:
                continue
            count = len(re.findall(r"[^\W_][\w'’./-]*", _TITLE.sub("title", sentence)))
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


def _texts_of_code(source: str) -> Iterator[tuple[int, str, bool]]:
    """The same, of each docstring and each string that a person may read."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    pieces = {
        id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(piece.value) if isinstance(piece, ast.Constant) else "…" for piece in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
            text = node.value
        else:
            continue
        if id(node) in docstrings:
            text = _ARGUMENT.sub("- ", _SECTION.sub(r"\n\1:\n\n", _COMMANDS.sub("", inspect.cleandoc(text))))
        elif len(text.split()) < _FEWEST_WORDS or "\\" in text:
            continue
        for _, part, is_cell in _texts(text):
            yield node.lineno, part, is_cell


def _plain(tokens: Iterable[Token]) -> str:
    words = {"code_inline": "`code`", "softbreak": " ", "hardbreak": " "}
    return "".join(words.get(token.type, token.content if token.type == "text" else "") for token in tokens)


def prose_paths() -> list[Path]:
    """The pages, and the folders of code, that the gate checks. Decisions stay as they were taken."""
    docs = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "adr"]
    return [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *docs,
        *(ROOT / folder for folder in ("benchmarks", "infrastructure", "src", "tools")),
    ]


def main() -> int:
    """Print every remark; 1 when there is one."""
    pages = [Path(name).resolve() for name in sys.argv[1:]] or prose_paths()
    found = [remark for page in pages for remark in remarks_on(page)]
    for remark in found:
        print(remark)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
