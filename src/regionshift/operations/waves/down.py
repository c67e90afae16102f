"""A region that does not answer while it is watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.errors import is_outside


class RegionDown(Exception):
    """A region did not answer while it was watched."""

    def __init__(self, region: str, error: Exception) -> None:
        super().__init__(f"{region} does not answer: {error}")
        self.region = region


@contextmanager
def calling(region: str) -> Iterator[None]:
    """Around calls of ``region``: when it is the region that fails them, they raise :class:`RegionDown`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        if is_outside(error):
            raise RegionDown(region, error) from error
        raise
