"""From a YAML file, the environment and the command line to checked settings, or every mistake at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regionshift.errors import InputError
from regionshift.settings.config import MigrationConfig
from regionshift.settings.document import Document, YamlError, read_document
from regionshift.settings.layers import Layers
from regionshift.settings.mend import without
from regionshift.settings.mistakes import NOTHING, Mistake, SettingsError
from regionshift.settings.mistakes import Path as Place
from regionshift.settings.rules import broken_rules
from regionshift.settings.schema import Shape
from regionshift.settings.translate import Found, translate

_MOST_MENDS = 5


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
        raise SettingsError(mistakes, where=str(path), remedy="Mend the settings; nothing was touched.")
    return config


def _read(path: Path) -> Document:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(
            f"There is no settings file {path.name} here.",
            where=str(path),
            remedy="write one with `regionshift init`, or name it with --config",
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
        raise _unreadable(path, f"broken YAML: {error}", "Mend the line that is named.") from error


def _unreadable(path: Path, found: str, remedy: str) -> SettingsError:
    mistake = Mistake("", found, "a YAML file with the settings", None, path.name)
    return SettingsError([mistake], where=str(path), remedy=remedy)


def _tree(document: Document, path: Path) -> dict[str, Any]:
    if isinstance(document.value, dict):
        return document.value
    found = {type(None): "an empty file", list: "a list"}.get(type(document.value), "a single value")
    remedy = "Write one with `regionshift init`." if document.value is None else "Begin with `project: NAME`."
    raise _unreadable(path, found, remedy)


def _drop_empty(tree: dict[str, Any], path: Place, shape: Shape) -> None:
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


def _mend(tree: dict[str, Any], wrong: tuple[Place, ...], shape: Shape) -> MigrationConfig | None:
    """The settings without what is wrong; None when that gets nowhere."""
    for _ in range(_MOST_MENDS):
        tree = without(tree, wrong)
        try:
            return _validate(tree)
        except ValidationError as error:  # taking out uncovered another, which the next reading will tell
            wrong = tuple(path for path, _ in translate(error, tree, shape))
    return None


def _line(mistake: Mistake, path: Path) -> int:
    """The line in the file, in whose order mistakes are told; 0 for what does not stand there."""
    number = mistake.source.removeprefix(f"{path.name}, line ")
    return int(number) if number.isdecimal() else 0


def _source(at: Place, layers: Layers, document: Document, path: Path) -> str:
    given = layers.source_of(at)
    if given is not None:
        return given
    for length in range(len(at), 0, -1):
        if at[:length] in document.lines:
            return f"{path.name}, line {document.lines[at[:length]]}"
    return path.name
