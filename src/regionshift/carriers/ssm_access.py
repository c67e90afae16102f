"""The parameters of one region, one call each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import HTTPClientError

from regionshift.carriers.carrier import DataLocation, VersionIdentity, date_of
from regionshift.carriers.named_values import (
    ConcurrentWriteError,
    NamedError,
    UnclearError,
    Value,
    call,
    is_told_late,
    pages,
    pause,
    tag_list,
    tags_of,
)
from regionshift.waiting import AT_ONCE, Waiter

_NAMES_A_LISTING = 50
_LOST_ANSWERS = 3  # to one write, before it is given up
REPEATED = 5
"""Versions that one write may have left, when its answers were lost."""
MADE_ANEW = "ParameterMadeAnew"
"""The parameter was deleted since, and there is another of its name."""
GONE = frozenset({"ParameterNotFound", "ParameterVersionNotFound", MADE_ANEW})
NO_POLICIES = "[{}]"
"""Takes every policy away (Systems Manager User Guide, "Assigning parameter policies")."""


class Side:
    """The parameters of one region under one path.

    Args:
        once: a client whose calls botocore does not repeat, for what may be done only once.
        waiter: for how long a parameter that was just written may not be there for reads.
    """

    def __init__(self, client: Any, place: DataLocation, once: Any, waiter: Waiter = AT_ONCE) -> None:
        self._client = client
        self._once = once
        self._prefix = place.prefix
        self._waiter = waiter

    def listing(self) -> Iterator[dict[str, Any]]:
        """Metadata of every parameter under the path."""
        filters = [{"Key": "Name", "Option": "BeginsWith", "Values": [self._prefix]}] if self._prefix else []
        return self._described(filters)

    def named(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Metadata of the parameters that exist among ``keys``, by key."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(keys), _NAMES_A_LISTING):
            names = [self._prefix + key for key in keys[start : start + _NAMES_A_LISTING]]
            for entry in self._described([{"Key": "Name", "Option": "Equals", "Values": names}]):
                found[entry["Name"][len(self._prefix) :]] = entry
        return found

    def existing(self, names: Sequence[str]) -> list[str]:
        """Those of a few whole names that parameters have."""
        filters = [{"Key": "Name", "Option": "Equals", "Values": list(names)}]
        return sorted(str(found["Name"]) for found in self._described(filters))

    def _described(self, filters: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        return pages(self._client.describe_parameters, "Parameters", ParameterFilters=filters, MaxResults=50)

    def value(self, key: str, version: VersionIdentity) -> Value:
        """One version's value, decrypted.

        Raises:
            NamedError: there is none, or it is one of a parameter that was made anew.
        """
        found, value = self._seen(key, int(version.id))
        if not found.is_recorded_as(str(version)):
            raise NamedError(MADE_ANEW, "GetParameter")
        return value

    def _seen(self, key: str, number: int) -> tuple[VersionIdentity, Value]:
        """The version that has this number now, and its value, decrypted."""
        name = f"{self._prefix}{key}:{number}"
        found = call(self._client.get_parameter, Name=name, WithDecryption=True)["Parameter"]
        return identity_of(found), Value(found["Value"])

    def put(
        self,
        key: str,
        value: Value,
        settings: Mapping[str, Any],
        after: int,
        has_time: Callable[[], bool],
    ) -> VersionIdentity:
        """Write the version that follows ``after``; gives the one that was written.

        PutParameter makes a version each time that it arrives (Systems Manager API Reference, "PutParameter"), so one
        whose answer was lost is looked for before it is sent again.

        Raises:
            ThrottledError: it is not told of while there is time.
            NamedError, botocore.exceptions.HTTPClientError: not written, or it cannot be told.
        """
        name = self._prefix + key
        for attempt in range(_LOST_ANSWERS):
            try:
                answer = call(
                    self._once.put_parameter, Name=name, Value=value.text, Overwrite=True, **settings
                )
            except (UnclearError, HTTPClientError):
                if made := self.newest_alike(key, after + 1, value):
                    return made
                if attempt == _LOST_ANSWERS - 1:
                    raise
                pause(attempt)
            else:
                return self._written(key, int(answer["Version"]), value, has_time)
        raise AssertionError("the last attempt returns or raises")

    def _written(self, key: str, number: int, value: Value, has_time: Callable[[], bool]) -> VersionIdentity:
        """PutParameter tells no date, so it is asked for.

        Raises:
            ConcurrentWriteError: the parameter was deleted and made anew meanwhile.
        """
        found, held = self._waiter.past(
            lambda: self._seen(key, number), lambda error: is_told_late(error, GONE, has_time)
        )
        if held != value:
            raise ConcurrentWriteError("PutParameter")
        return found

    def newest_alike(self, key: str, first: int, value: Value) -> VersionIdentity | None:
        """The last version of those from ``first`` on that all have this value; None when ``first`` has not."""
        last = None
        for number in range(first, first + REPEATED):
            found = self._alike(key, number, value)
            if found is None:
                break
            last = found
        return last

    def all_hold(self, key: str, versions: range, value: Value) -> bool:
        """Whether all of these versions have this value; false when there is none, or too many to be one write."""
        alike = 0 < len(versions) <= REPEATED
        return alike and all(self._alike(key, version, value) for version in versions)

    def _alike(self, key: str, number: int, value: Value) -> VersionIdentity | None:
        """The version that has this number, if it has this value."""
        try:
            found, held = self._seen(key, number)
        except NamedError as error:
            if error.code in GONE:
                return None
            raise
        return found if held == value else None

    def delete(self, key: str) -> None:
        """Take the parameter away with its history."""
        try:
            call(self._client.delete_parameter, Name=self._prefix + key)
        except NamedError as error:
            if error.code not in GONE:  # it is: sent again after its answer was lost
                raise

    def tags(self, key: str) -> dict[str, str]:
        """Its tags."""
        return tags_of(call(self._client.list_tags_for_resource, **self._resource(key))["TagList"])

    def set_tags(self, key: str, tags: Mapping[str, str], has_time: Callable[[], bool]) -> None:
        """Give it just these tags.

        Raises:
            ThrottledError: it is not told of while there is time.
        """
        present = self._waiter.past(
            lambda: self.tags(key), lambda error: is_told_late(error, {"InvalidResourceId"}, has_time)
        )
        gone = sorted(set(present) - set(tags))
        if gone:
            call(self._client.remove_tags_from_resource, TagKeys=gone, **self._resource(key))
        if tags and dict(tags) != present:
            call(self._client.add_tags_to_resource, Tags=tag_list(tags), **self._resource(key))

    def _resource(self, key: str) -> dict[str, str]:
        return {"ResourceType": "Parameter", "ResourceId": self._prefix + key}


def identity_of(found: Mapping[str, Any]) -> VersionIdentity:
    """The version that DescribeParameters or GetParameter tells of.

    A parameter that is deleted and made anew counts from 1 again; the date tells the two apart (Systems Manager API
    Reference, "ParameterMetadata", LastModifiedDate).
    """
    return VersionIdentity(str(found["Version"]), date_of(found["LastModifiedDate"]))


def policies(found: Mapping[str, Any]) -> str:
    """A parameter's policies as PutParameter wants them."""
    given = found.get("Policies") or []
    return f"[{','.join(policy['PolicyText'] for policy in given)}]" if given else NO_POLICIES


def changed_policies(wanted: str, present: str) -> dict[str, str]:
    """The argument that brings ``wanted`` about; none when nothing has to change."""
    return {} if wanted == present == NO_POLICIES else {"Policies": wanted}
