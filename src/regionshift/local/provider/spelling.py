"""Nested inputs in the spelling of the AWS API, and back: ``sizeInBytes`` is ``SizeInBytes`` there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def to_api(value: Any, exceptions: Mapping[str, str]) -> Any:
    """Names begin with a capital, but for ``exceptions`` (ours to AWS's). What is None is left out.

    Raises:
        ValueError: a name would be spelled as another one is, and could not be told from it on the way back.
    """
    if isinstance(value, Mapping):
        return {
            _spelled(name, exceptions): to_api(item, exceptions)
            for name, item in value.items()
            if item is not None
        }
    return [to_api(item, exceptions) for item in value] if isinstance(value, list) else value


def _spelled(name: str, exceptions: Mapping[str, str]) -> str:
    if name in exceptions:
        return exceptions[name]
    theirs = name[:1].upper() + name[1:]
    if theirs[:1].lower() + theirs[1:] != name or theirs in exceptions.values():
        raise ValueError(f"{name!r} is no name of ours: {theirs!r} is how another one is spelled")
    return theirs


def from_api(value: Any, exceptions: Mapping[str, str]) -> Any:
    """The way back of ``to_api``, with the same ``exceptions``."""
    return _named(value, {theirs: ours for ours, theirs in exceptions.items()})


def _named(value: Any, ours: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            ours.get(name, name[:1].lower() + name[1:]): _named(item, ours) for name, item in value.items()
        }
    return [_named(item, ours) for item in value] if isinstance(value, list) else value
