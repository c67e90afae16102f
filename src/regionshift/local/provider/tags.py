"""Tags as AWS services want them, and as a plain map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def to_list(tags: Mapping[str, str], *, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """``[{"Key": …, "Value": …}]``, sorted by key; some services call the two otherwise."""
    return [{key: name, value: tags[name]} for name in sorted(tags)]


def from_list(tags: Iterable[Mapping[str, str]], *, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """The map of such a list."""
    return {tag[key]: tag[value] for tag in tags}
