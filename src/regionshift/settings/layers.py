"""Lays environment variables and options over what the file says.

One order of precedence, the later wins: defaults, the file, ``ENVIRONMENT_SUFFIX``, ``REGIONSHIFT_*``
variables, options of the command line. A value replaces what stands at its path, a list or a map as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regionshift.settings.document import YamlError, read_document
from regionshift.settings.fields import nearest_of
from regionshift.settings.mistakes import NOT_SHOWN, Mistake, Path, is_secret, show, write_path
from regionshift.settings.schema import Shape

PREFIX = "REGIONSHIFT_"
SUFFIX_VARIABLE = "ENVIRONMENT_SUFFIX"
# What the commands themselves read: no fields of the settings.
RESERVED = frozenset(
    PREFIX + name
    for name in ("CONFIG", "ENDPOINT", "YES", "JSON", "VERBOSE", "CACHE", "PULUMI", "CA_BUNDLE", "PROFILE")
)
RESERVED_PREFIXES = (PREFIX + "TEST_", PREFIX + "BENCH_")


class Layers:
    """The settings as one tree, with the source of every value that did not come from the file."""

    def __init__(self, tree: dict[str, Any], shape: Shape) -> None:
        self.tree = tree
        self.sources: dict[Path, str] = {}
        self.mistakes: list[Mistake] = []
        self._shape = shape

    def add_environment(self, env: Mapping[str, str]) -> None:
        """Lay ``ENVIRONMENT_SUFFIX``, then every ``REGIONSHIFT_*`` over the tree; empty counts as unset."""
        if env.get(SUFFIX_VARIABLE):
            self._set(("environment_suffix",), env[SUFFIX_VARIABLE], SUFFIX_VARIABLE)
        # Sections come before their fields, so that both may be given.
        for name in sorted(env, key=lambda name: (name.count("__"), name)):
            if name.startswith(PREFIX) and env[name] and not is_reserved(name):
                self._add(name.removeprefix(PREFIX).split("__"), env[name], name)

    def add_options(self, overrides: Mapping[str, object]) -> None:
        """Lay options over the tree, by dotted path (``network.zones``); None counts as not given."""
        for name in sorted(overrides, key=lambda name: (name.count("."), name)):
            if overrides[name] is not None:
                self._add(name.split("."), overrides[name], f"option {name}")

    def source_of(self, path: Path) -> str | None:
        """Where the value at ``path``, or the section around it, was given, unless in the file."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.sources:
                return self.sources[path[:length]]
        return None

    def _add(self, parts: list[str], value: object, source: str) -> None:
        path: Path = ()
        for part in parts:
            known = self._shape.fields(path)
            step = part if self._shape.is_map(path) else part.lower()
            if known and step not in known:
                self._unknown((*path, step), known, source)
                return
            path = (*path, step)
        if self._shape.at(path) is None:
            self._unknown(path, (), source)
            return
        self._set(path, value, source)

    def _unknown(self, path: Path, known: tuple[str, ...], source: str) -> None:
        *section, step = path
        nearest = nearest_of(str(step), known)
        meant = write_path((*section, nearest)) if nearest else None
        allowed = f"one of {', '.join(known)}" if known else "the whole list or map under its own name"
        if source.startswith(PREFIX):
            nearest = variable_of((*section, nearest)) if nearest else None
            allowed = f"{allowed} (nothing else is read from variables that begin with {PREFIX})"
        else:
            nearest = write_path((*section, nearest)) if nearest else None
        found = "a field that is not there"
        self.mistakes.append(Mistake(write_path(path), found, allowed, nearest, source, meant))

    def _set(self, path: Path, value: object, source: str) -> None:
        if isinstance(value, str) and not self._is_text(path):
            try:
                value = read_document(value).value
            except YamlError:
                found = NOT_SHOWN if is_secret(path) else show(value, path)
                allowed = f"{self._shape.describe(path)}, as YAML or JSON"
                self.mistakes.append(Mistake(write_path(path), found, allowed, None, source))
                return
        here = self.tree
        for part in path[:-1]:
            inner = here.get(str(part))
            if not isinstance(inner, dict):
                inner = here[str(part)] = {}
            here = inner
        here[str(path[-1])] = value
        self.sources = {known: by for known, by in self.sources.items() if known[: len(path)] != path}
        self.sources[path] = source

    def _is_text(self, path: Path) -> bool:
        """Whether only text may stand there, so that ``012345678901`` or ``no`` stays what it is."""
        here = self._shape.at(path) or {}
        choices = [choice for choice in here.get("anyOf", (here,)) if choice.get("type") != "null"]
        return all("string" in choice.get("type", ()) for choice in choices)


def is_reserved(name: str) -> bool:
    """Whether ``name`` is a variable of the commands, not of the settings."""
    return name in RESERVED or name.startswith(RESERVED_PREFIXES)


def variable_of(path: Path) -> str:
    """The environment variable that gives the field at ``path``."""
    return PREFIX + "__".join(str(part).upper() for part in path)
