"""What differs between two releases, as data. Secrets differ by their keyed digests only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

CHANGED = "(changed)"
_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """One value that differs: its path (``config.function.memory``), what it was and what it is.

    None stands for a value that was or is not there. A secret shows as ``(changed)``, never as a value.
    """

    path: str
    before: object
    after: object

    def to_json(self) -> dict[str, object]:
        """The difference as plain JSON."""
        return asdict(self)


def differences(
    before: Mapping[str, object],
    after: Mapping[str, object],
    secrets_before: Mapping[str, str],
    secrets_after: Mapping[str, str],
) -> tuple[Difference, ...]:
    """What differs between two releases' contents and between the keyed digests of their secrets."""
    plain = _walk("", _without_digest(before), _without_digest(after))
    return (*plain, *_secrets(secrets_before, secrets_after))


def _without_digest(content: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in content.items() if name != "secrets"}


def _walk(path: str, before: object, after: object) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            inner = f"{path}.{name}" if path else str(name)
            yield from _walk(inner, before.get(name, _ABSENT), after.get(name, _ABSENT))
    elif before != after:
        yield Difference(path, _shown(before), _shown(after))


def _shown(value: object) -> object:
    return None if value is _ABSENT else value


def _secrets(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            was, now = (CHANGED if name in digests else None for digests in (before, after))
            yield Difference(f"secrets.{name}", was, now)
