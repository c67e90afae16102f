"""From a YAML file, the environment and the command line to checked settings, or every mistake at once.

One order of precedence, the later wins: defaults, the file, ``ENVIRONMENT_SUFFIX``, ``REGIONSHIFT_*`` variables,
options of the command line. A value replaces the whole value at its path, also a list or a map.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from regionshift.errors import InputError
from regionshift.settings.config import MigrationConfig
from regionshift.settings.document import Document, YamlError, read_document
from regionshift.settings.mistakes import (
    NOT_SHOWN,
    NOTHING,
    UNKNOWN,
    FieldPath,
    Found,
    Mistake,
    SettingsError,
    is_secret,
    nearest_of,
    show,
    write_path,
)
from regionshift.settings.regions import all_regions
from regionshift.settings.rules import broken_rules
from regionshift.settings.schema import Shape, translate

T = TypeVar("T")
PREFIX = "REGIONSHIFT_"
SUFFIX_VARIABLE = "ENVIRONMENT_SUFFIX"
# What the commands themselves read: no fields of the settings.
RESERVED = frozenset(
    PREFIX + name for name in ("CONFIG", "ENDPOINT", "CA_BUNDLE", "PROFILE", "ALLOW_BROADENING", "LOCAL_ROLE")
)
RESERVED_PREFIXES = (PREFIX + "TEST_", PREFIX + "BENCH_")
_MOST_MENDS = 5
# What takes the place of a required value that is wrong or missing.
_STAND_INS: dict[FieldPath, object] = {
    ("project",): "project",
    ("environment",): "environment",
    ("account",): "000000000000",
    ("regions",): {"primary": "us-east-1"},
    ("network",): {"vpc_cidr": "10.0.0.0/8"},
    ("network", "vpc_cidr"): "10.0.0.0/8",
}


def load_config(path: Path, env: Mapping[str, str], overrides: Mapping[str, object]) -> MigrationConfig:
    """The settings in the file at ``path``, with ``env`` and ``overrides`` laid over it.

    The later wins: defaults, the file, ``ENVIRONMENT_SUFFIX``, ``REGIONSHIFT_*``, ``overrides`` (by dotted
    path, values as they are or as YAML text; None is not given).

    Raises:
        InputError: there is no such file.
        SettingsError: with every mistake there is; nothing but the file was read.
    """
    document = _read(path)
    shape = Shape()
    layers = Layers(_tree(document, path), shape)
    layers.add_environment(env)
    layers.add_options(overrides)
    _drop_empty(layers.tree, (), shape)
    config, found = _check(layers.tree, shape)
    mistakes = [replace(one, source=f"{path.name}, {one.source}") for one in document.mistakes]
    mistakes += layers.mistakes
    # What is wrong in its form is told once, not again for the value it therefore has not.
    told = {one.path for one in mistakes}
    # A misspelt field is one mistake, not another for the field that it was meant to be.
    meant = {one.meant for one in (*mistakes, *(each for _, each in found))}
    found = [(at, one) for at, one in found if one.found != NOTHING or one.path not in meant]
    mistakes += [
        replace(one, source=_source(at, layers, document, path)) for at, one in found if one.path not in told
    ]
    if mistakes or config is None:
        mistakes.sort(key=lambda one: _line(one, path))
        raise SettingsError(mistakes, where=str(path), remedy="Fix the settings; nothing was touched.")
    return config


def _read(path: Path) -> Document:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(
            f"There is no settings file {path.name} here.",
            where=str(path),
            remedy="write one with `regionshift init`, or name it with --config",
            error_id="RS-SETTINGS-002",
        ) from None
    except UnicodeDecodeError:
        raise _unreadable(path, "bytes that are no UTF-8 text", "Save the file as UTF-8.") from None
    except OSError as error:
        raise _unreadable(
            path, error.strerror or "an unreadable file", "Name a file with --config."
        ) from error
    try:
        return read_document(text)
    except YamlError as error:
        raise _unreadable(path, f"broken YAML: {error}", "Fix the line that is named.") from error


def _unreadable(path: Path, found: str, remedy: str) -> SettingsError:
    mistake = Mistake("", found, "a YAML file with the settings", None, path.name)
    return SettingsError([mistake], where=str(path), remedy=remedy)


def _tree(document: Document, path: Path) -> dict[str, Any]:
    if isinstance(document.value, dict):
        return document.value
    found = {type(None): "an empty file", list: "a list"}.get(type(document.value), "a single value")
    remedy = "Write one with `regionshift init`." if document.value is None else "Begin with `project: NAME`."
    raise _unreadable(path, found, remedy)


def _drop_empty(tree: dict[str, Any], path: FieldPath, shape: Shape) -> None:
    """Drop fields with nothing behind them, as ``tags:`` is when every line below is commented out."""
    for key in list(tree):
        known = key in shape.fields(path)
        if known and tree[key] is None:
            del tree[key]
        elif isinstance(tree[key], dict):
            _drop_empty(tree[key], (*path, key), shape)


def _check(tree: dict[str, Any], shape: Shape) -> tuple[MigrationConfig | None, list[Found]]:
    try:
        config = _validate(tree)
    except ValidationError as error:
        found = translate(error, tree, shape)
        wrong = tuple(path for path, _ in found)
        mended = _mend(tree, wrong, shape)
        return None, found + (broken_rules(mended, wrong) if mended else [])
    return config, list(broken_rules(config))


def _validate(tree: dict[str, Any]) -> MigrationConfig:
    # JSON is the form in which pydantic can be strict and still take a list for a tuple.
    return MigrationConfig.model_validate_json(json.dumps(tree, default=str), strict=True)


def _mend(tree: dict[str, Any], wrong: tuple[FieldPath, ...], shape: Shape) -> MigrationConfig | None:
    """The settings without what is wrong; None when that gets nowhere."""
    for _ in range(_MOST_MENDS):
        tree = without(tree, wrong)
        try:
            return _validate(tree)
        except ValidationError as error:  # taking out uncovered another, which the next reading will tell
            wrong = tuple(path for path, _ in translate(error, tree, shape))
    return None


def _line(mistake: Mistake, path: Path) -> int:
    """The line in the file, for the order of the mistakes; 0 for a value from elsewhere."""
    number = mistake.source.removeprefix(f"{path.name}, line ")
    return int(number) if number.isdecimal() else 0


def _source(at: FieldPath, layers: Layers, document: Document, path: Path) -> str:
    line = _around(at, document.lines)
    return _around(at, layers.sources) or (f"{path.name}, line {line}" if line else path.name)


def _around(path: FieldPath, known: Mapping[FieldPath, T]) -> T | None:
    """What is known of ``path`` itself, else of the nearest section around it."""
    return next((known[path[:end]] for end in range(len(path), 0, -1) if path[:end] in known), None)


class Layers:
    """The settings as one tree, with the source of every value that did not come from the file."""

    def __init__(self, tree: dict[str, Any], shape: Shape) -> None:
        self.tree = tree
        self.sources: dict[FieldPath, str] = {}
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

    def _add(self, parts: list[str], value: object, source: str) -> None:
        path: FieldPath = ()
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

    def _unknown(self, path: FieldPath, known: tuple[str, ...], source: str) -> None:
        *section, step = path
        nearest = nearest_of(str(step), known)
        meant = write_path((*section, nearest)) if nearest else None
        allowed = f"one of {', '.join(known)}" if known else "the whole list or map under its own name"
        if source.startswith(PREFIX):
            nearest = variable_of((*section, nearest)) if nearest else None
            allowed = f"{allowed} (nothing else is read from variables that begin with {PREFIX})"
        else:
            nearest = write_path((*section, nearest)) if nearest else None
        self.mistakes.append(Mistake(write_path(path), UNKNOWN, allowed, nearest, source, meant))

    def _set(self, path: FieldPath, value: object, source: str) -> None:
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

    def _is_text(self, path: FieldPath) -> bool:
        """Whether only text may stand there, so that ``012345678901`` or ``no`` stays what it is."""
        here = self._shape.at(path) or {}
        choices = [choice for choice in here.get("anyOf", (here,)) if choice.get("type") != "null"]
        return all("string" in choice.get("type", ()) for choice in choices)


def is_reserved(name: str) -> bool:
    """Whether ``name`` is a variable of the commands, not of the settings."""
    return name in RESERVED or name.startswith(RESERVED_PREFIXES)


def variable_of(path: FieldPath) -> str:
    """The environment variable that gives the field at ``path``."""
    return PREFIX + "__".join(str(part).upper() for part in path)


def without(tree: dict[str, Any], wrong: tuple[FieldPath, ...]) -> dict[str, Any]:
    """A copy of ``tree`` without the paths of ``wrong``, or with others where something must stand."""
    mended = copy.deepcopy(tree)
    # From the end, so that a place taken out of a list moves none that is still to come.
    for path in sorted(wrong, key=lambda path: [str(part).zfill(9) for part in path], reverse=True):
        _take_out(mended, path)
    return mended


def _take_out(tree: dict[str, Any], path: FieldPath) -> None:
    *around, last = path
    holder: Any = tree
    for part in around:
        if not _holds(holder, part):
            return
        holder = holder[part]
    if path in _STAND_INS:
        holder[last] = copy.deepcopy(_STAND_INS[path])
    elif path == ("regions", "primary") or around == ["regions", "secondaries"]:
        # A region that is named nowhere keeps the place, so that the others keep theirs.
        text = json.dumps(tree, default=str)
        holder[last] = next(region for region in reversed(all_regions()) if f'"{region}"' not in text)
    elif _holds(holder, last):
        del holder[last]
    elif around:
        _take_out(tree, tuple(around))  # the entry that lacks a required field


def _holds(holder: object, part: str | int) -> bool:
    if isinstance(holder, dict):
        return part in holder
    return isinstance(holder, list) and isinstance(part, int) and part < len(holder)
