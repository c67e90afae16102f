"""Policies are parsed once in the emulator's process, not twice for every request of a role.

It reads each policy of whoever asks anew, first to name the caller and then to decide. For a worker with rights for
a few buckets that is a third of a CopyObject. A document is a text, so what it says is kept by its text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

_MOST_DOCUMENTS = 1024


def install() -> None:
    """Put it into the running ministack."""
    from ministack.core import iam_evaluator  # type: ignore[import-untyped]

    iam_evaluator.parse_policy_document = once(iam_evaluator.parse_policy_document)


def once(parse: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    """``parse``, which reads the same text only once; each caller gets a list of its own."""
    known = lru_cache(maxsize=_MOST_DOCUMENTS)(parse)

    def remembering(document: Any) -> list[Any]:
        return list(known(document)) if isinstance(document, str) else parse(document)

    return remembering
