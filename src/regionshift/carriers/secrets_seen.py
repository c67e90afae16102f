"""Both sides of each secret as DescribeSecret tells them, asked side by side and given in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from regionshift.carriers.named import NamedError, TooOftenError
from regionshift.carriers.secrets_access import Vault
from regionshift.errors import WorkFailed

_AT_ONCE = 8


class Seen(NamedTuple):
    """One secret on both sides, None where it is not; ``problem`` says why it could not be looked at."""

    key: str
    source: Mapping[str, Any] | None
    target: Mapping[str, Any] | None
    problem: str = ""


def both_sides(source: Vault, target: Vault, keys: Sequence[str]) -> Iterator[Seen]:
    """What is there now, for each key in turn.

    Raises:
        WorkFailed: a region is asked too often.
    """

    def look(key: str) -> Seen:
        try:
            return Seen(key, source.described(key), target.described(key))
        except TooOftenError as error:
            raise WorkFailed(f"Secrets cannot be looked at: {error}.", where=key) from error
        except NamedError as error:
            return Seen(key, None, None, f"it cannot be looked at: {error}")

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="describe") as pool:
        ahead: deque[Future[Seen]] = deque()
        for key in keys:
            ahead.append(pool.submit(look, key))
            if len(ahead) > 2 * _AT_ONCE:
                yield ahead.popleft().result()
        for future in ahead:
            yield future.result()
