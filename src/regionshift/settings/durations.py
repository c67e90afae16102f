"""Lengths of time as people write them: ``90s``, ``10m``, ``1h30m``, ``2d``, or a number of seconds."""

from __future__ import annotations

import re

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
PATTERN = r"^(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"


def parse_duration(text: str) -> int:
    """The seconds that ``text`` means.

    Raises:
        ValueError: not a length of time.
    """
    found = re.fullmatch(PATTERN, text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a length of time such as 90s, 10m or 1h30m")
    return sum(int(part[:-1]) * _SECONDS[part[-1]] for part in found.groups() if part)


def format_duration(seconds: int) -> str:
    """The shortest way to write ``seconds``, which ``parse_duration`` reads back."""
    if seconds == 0:
        return "0s"
    parts = []
    for unit, size in _SECONDS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
