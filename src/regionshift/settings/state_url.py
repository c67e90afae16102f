"""The state URL in its parts."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class StateUrl:
    """``s3://BUCKET/PREFIX?region=REGION`` or ``file://DIRECTORY``.

    Args:
        place: the URL without what follows the ``?``.
        region: the bucket's own region; None when the URL does not say, and for a directory.
        unknown: names after the ``?`` that mean nothing.
    """

    place: str
    region: str | None = None
    unknown: tuple[str, ...] = ()


def parse_state_url(text: str) -> StateUrl:
    """Take a state URL apart; a directory's name may hold a ``?``."""
    url = urlsplit(text)
    if url.scheme != "s3":
        return StateUrl(text)
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    region = options.pop("region", None)
    return StateUrl(url._replace(query="").geturl(), region, tuple(options))
