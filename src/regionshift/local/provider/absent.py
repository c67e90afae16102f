"""Asking for something that may not be there, and finding there what is somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from regionshift.errors import WorkFailed
from regionshift.local.provider.failures import is_gone


class Taken(WorkFailed):
    """A name is in use by something that was not made for this resource."""

    def __init__(self, name: str, region: str) -> None:
        super().__init__(
            f"{name} exists already and was not made for this resource",
            where=region,
            remedy="delete it, import it, or choose another name",
        )


def look(call: Callable[..., Any], **arguments: Any) -> Any | None:
    """What ``call`` answers; None when what it asks for is not there."""
    try:
        return call(**arguments)
    except ClientError as error:
        if is_gone(error):
            return None
        raise
