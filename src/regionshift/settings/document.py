"""Reads YAML with the core schema of version 1.2, and remembers the line of each value.

PyYAML follows version 1.1, where ``no`` is false, ``012345678901`` may be octal and ``12:30`` a number.
That must not happen to account ids and names. Editors that check the file with its JSON Schema also read 1.2.
Two equal keys, which PyYAML accepts, are mistakes here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from regionshift.settings.mistakes import FieldPath, Mistake, is_secret_key, show_key, write_path

_TAG = "tag:yaml.org,2002:"
_MOST_NODES = 100_000
_DEEPEST = 50
_TOO_DEEP = f"lists and mappings inside each other more than {_DEEPEST} deep"


class _Loader(yaml.SafeLoader):
    """A composer of nodes whose plain scalars are resolved by the YAML 1.2 core schema."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's own name and shape

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        r"""The scalar; two halves of a character are joined, as JSON writes those beyond ``\uffff`` (RFC 8259, 7)."""
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        try:
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise yaml.MarkedYAMLError(problem="half of a character", problem_mark=node.start_mark) from None
        return node


for _kind, _pattern in (
    ("null", r"~|null|Null|NULL|"),
    ("bool", r"true|True|TRUE|false|False|FALSE"),
    ("int", r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+"),
    (
        "float",
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    ),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), None)


_SCALARS = {_TAG + kind for kind in ("null", "bool", "int", "float", "str")}
# One character (as Python writes it), or a token as PyYAML's tokens call themselves.
_OF_YAML = re.compile(
    r".|\\[tnr\\]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|---|\.\.\.|<[a-z ]+>", re.DOTALL
)


class YamlError(ValueError):
    """The text is no YAML; the message says why and where, without repeating the text."""


@dataclass
class Document:
    """A YAML document: its value, the line (from 1) of every path, and what is wrong in its form."""

    value: object = None
    lines: dict[FieldPath, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def compose(text: str) -> yaml.Node | None:
    """The nodes of ``text``, each with its place; None when nothing stands there.

    Raises:
        YamlError: ``text`` is no YAML, or more than one document.
    """
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except RecursionError:
        raise YamlError(_TOO_DEEP) from None
    except yaml.MarkedYAMLError as error:
        raise YamlError(_explain(error)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"a character that YAML does not allow, line {line}") from error
    return node


def read_document(text: str) -> Document:
    """``text`` read as one YAML document. Raises YamlError as :func:`compose`."""
    document = Document()
    node = compose(text)
    if node is not None:
        document.value = _Reader(document).read(node, ())
    return document


def _explain(error: yaml.MarkedYAMLError) -> str:
    # An anchor's second use has what is wrong in the context.
    said = error.context if error.problem == "second occurrence" else error.problem
    problem = _without_texts(said or "broken YAML")
    if "'\\t'" in problem or "tab character" in problem:
        problem = "a tab, where YAML takes spaces only"
    mark, begun = error.problem_mark or error.context_mark, ""
    if mark is None:
        return problem
    if (
        error.context
        and error.context_mark
        and error.context_mark.line != mark.line
        and said == error.problem
    ):
        begun = f" ({_without_texts(error.context)} that begins in line {error.context_mark.line + 1})"
    return f"{problem}, line {mark.line + 1}, column {mark.column + 1}{begun}"


def _without_texts(words: str) -> str:
    """What PyYAML says, without names of aliases, anchors and tags: those may be a password that was left unquoted.

    It quotes these, and single characters and tokens of YAML, which stay.
    """
    return re.sub(
        r"'[^']*'|\"[^\"]*\"", lambda quoted: quoted[0] if _OF_YAML.fullmatch(quoted[0][1:-1]) else "…", words
    )


class _Reader:
    """Turns nodes into values and writes lines and mistakes down."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._scalars = yaml.constructor.SafeConstructor()
        self._open: set[int] = set()
        self._count = 0

    def read(self, node: yaml.Node, path: FieldPath) -> object:
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        self._count += 1
        if len(path) > _DEEPEST:
            self._add(path[:1], node, _TOO_DEEP, "fewer")
            return None
        if id(node) in self._open or self._count > _MOST_NODES:
            self._add(path, node, "an alias that repeats itself without end", "a value")
            return None
        self._open.add(id(node))
        try:
            return self._read(node, path)
        finally:
            self._open.discard(id(node))

    def _read(self, node: yaml.Node, path: FieldPath) -> object:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, place)) for place, item in enumerate(node.value)]
        try:
            if node.tag in _SCALARS:
                return self._scalars.construct_object(node)
        except (KeyError, ValueError):
            pass  # an explicit tag that does not fit its text, told just below
        self._add(path, node, "a YAML tag that has no meaning here", "a plain value")
        return None

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._add(path, key_node, "a list or a mapping as a key", "a name")
                continue
            key = str(key_node.value)
            here = (*path, key)
            lone = isinstance(value_node, yaml.ScalarNode) and value_node.tag == _TAG + "null"
            if key_node.tag != _TAG + "str":
                quoted = None if is_secret_key(here, lone=lone) else f'"{key}"'
                self._add(here, key_node, "a key that is no text", "text", quoted, lone=lone)
            elif key in values:
                found = f"a second time (the first is in line {self._document.lines[here]})"
                self._add(here, key_node, found, "each key once", lone=lone)
            else:
                self._document.lines[here] = key_node.start_mark.line + 1
                values[key] = self.read(value_node, here)
        return values

    def _add(
        self,
        path: FieldPath,
        node: yaml.Node,
        found: str,
        allowed: str,
        near: str | None = None,
        *,
        lone: bool = False,
    ) -> None:
        if path and is_secret_key(path, lone=lone):
            found = f"{show_key(path, lone=lone)}, {found}"
        line = f"line {node.start_mark.line + 1}"
        self._document.mistakes.append(Mistake(write_path(path, lone=lone), found, allowed, near, line))
