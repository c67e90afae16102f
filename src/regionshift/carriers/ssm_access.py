"""The parameters of one region: the API calls, and the metadata that they return."""

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
    is_not_visible_yet,
    pages,
    pause,
    tag_list,
    tags_of,
)
from regionshift.waiting import AT_ONCE, Waiter

_NAMES_A_LISTING = 50
_LOST_ANSWERS = 3  # attempts of one write
REPEATED = 5
"""The most versions that one repeated write can leave."""
RECREATED = "ParameterRecreated"
"""The parameter was deleted and created again."""
GONE = frozenset({"ParameterNotFound", "ParameterVersionNotFound", RECREATED})
NO_POLICIES = "[{}]"
"""Removes all policies (Systems Manager User Guide, "Assigning parameter policies")."""


class Side:
    """The parameters of one region under one path.

    Args:
        once: a client without botocore's retries, for calls that are not idempotent.
        waiter: how long reads may not find a parameter that was just written.
    """

    def __init__(self, client: Any, place: DataLocation, once: Any, waiter: Waiter = AT_ONCE) -> None:
        self._client = client
        self._once = once
        self._prefix = place.prefix
        self._waiter = waiter

    def listing(self) -> Iterator[dict[str, Any]]:
        """Yield the metadata of each parameter under the path."""
        filters = [{"Key": "Name", "Option": "BeginsWith", "Values": [self._prefix]}] if self._prefix else []
        return self._described(filters)

    def named(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the metadata of the existing parameters among ``keys``, by key."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(keys), _NAMES_A_LISTING):
            names = [self._prefix + key for key in keys[start : start + _NAMES_A_LISTING]]
            for entry in self._described([{"Key": "Name", "Option": "Equals", "Values": names}]):
                found[entry["Name"][len(self._prefix) :]] = entry
        return found

    def existing(self, names: Sequence[str]) -> list[str]:
        """Return which of a few whole names are names of parameters."""
        filters = [{"Key": "Name", "Option": "Equals", "Values": list(names)}]
        return sorted(str(found["Name"]) for found in self._described(filters))

    def _described(self, filters: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        return pages(self._client.describe_parameters, "Parameters", ParameterFilters=filters, MaxResults=50)

    def value(self, key: str, version: VersionIdentity) -> Value:
        """Return the decrypted value of one version.

        Raises:
            NamedError: there is no such version, or the parameter was created again.
        """
        found, value = self._seen(key, int(version.id))
        if not found.is_recorded_as(str(version)):
            raise NamedError(RECREATED, "GetParameter")
        return value

    def _seen(self, key: str, number: int) -> tuple[VersionIdentity, Value]:
        """Return the version that has this number now, and its decrypted value."""
        name = f"{self._prefix}{key}:{number}"
        found = call(self._client.get_parameter, Name=name, WithDecryption=True)["Parameter"]
        return identity_of(found), Value(found["Value"])

    def put(
        self, key: str, value: Value, settings: Mapping[str, Any], after: int, has_time: Callable[[], bool]
    ) -> VersionIdentity:
        """Write the version that follows ``after``, and return it.

        Each PutParameter creates a version (Systems Manager API Reference, "PutParameter"). So after a lost answer,
        the version is looked for before the request is sent again.

        Raises:
            ThrottledError: reads do not show the version before time runs out.
            NamedError, botocore.exceptions.HTTPClientError: it was not written, or that is unclear.
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
        """Return the identity of a version that was just written. PutParameter returns no date.

        Raises:
            ConcurrentWriteError: the parameter was deleted and created again meanwhile.
        """
        found, held = self._waiter.past(
            lambda: self._seen(key, number), lambda error: is_not_visible_yet(error, GONE, has_time)
        )
        if held != value:
            raise ConcurrentWriteError("PutParameter")
        return found

    def newest_alike(self, key: str, first: int, value: Value) -> VersionIdentity | None:
        """Return the last version of the run from ``first`` on that has this value; None when ``first`` has not."""
        last = None
        for number in range(first, first + REPEATED):
            found = self._alike(key, number, value)
            if found is None:
                break
            last = found
        return last

    def all_hold(self, key: str, versions: range, value: Value) -> bool:
        """Whether all of these versions have this value. False for none, and for more than one write can leave."""
        alike = 0 < len(versions) <= REPEATED
        return alike and all(self._alike(key, version, value) for version in versions)

    def _alike(self, key: str, number: int, value: Value) -> VersionIdentity | None:
        """Return the version of this number, if it has this value."""
        try:
            found, held = self._seen(key, number)
        except NamedError as error:
            if error.code in GONE:
                return None
            raise
        return found if held == value else None

    def delete(self, key: str) -> None:
        """Delete the parameter with its history."""
        try:
            call(self._client.delete_parameter, Name=self._prefix + key)
        except NamedError as error:
            if error.code not in GONE:  # deleted by the first request, whose answer was lost
                raise

    def tags(self, key: str) -> dict[str, str]:
        """Return its tags."""
        return tags_of(call(self._client.list_tags_for_resource, **self._resource(key))["TagList"])

    def set_tags(self, key: str, tags: Mapping[str, str], has_time: Callable[[], bool]) -> None:
        """Set exactly these tags.

        Raises:
            ThrottledError: reads do not show the parameter before time runs out.
        """
        present = self._waiter.past(
            lambda: self.tags(key), lambda error: is_not_visible_yet(error, {"InvalidResourceId"}, has_time)
        )
        gone = sorted(set(present) - set(tags))
        if gone:
            call(self._client.remove_tags_from_resource, TagKeys=gone, **self._resource(key))
        if tags and dict(tags) != present:
            call(self._client.add_tags_to_resource, Tags=tag_list(tags), **self._resource(key))

    def _resource(self, key: str) -> dict[str, str]:
        return {"ResourceType": "Parameter", "ResourceId": self._prefix + key}


def identity_of(found: Mapping[str, Any]) -> VersionIdentity:
    """Return the version in an answer of DescribeParameters or GetParameter.

    A parameter that is created again has version 1 again; only the date differs (Systems Manager API Reference,
    "ParameterMetadata", LastModifiedDate).
    """
    return VersionIdentity(str(found["Version"]), date_of(found["LastModifiedDate"]))


def policies(found: Mapping[str, Any]) -> str:
    """Return a parameter's policies in the form for PutParameter."""
    given = found.get("Policies") or []
    return f"[{','.join(policy['PolicyText'] for policy in given)}]" if given else NO_POLICIES


def changed_policies(wanted: str, present: str) -> dict[str, str]:
    """Return the argument that sets the policies ``wanted``; empty when nothing changes."""
    return {} if wanted == present == NO_POLICIES else {"Policies": wanted}
