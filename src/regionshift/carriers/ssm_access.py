"""The parameters of one region, one call each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from regionshift.carriers.carrier import Place
from regionshift.carriers.named import Value, call, pages, tag_list, tags_of

_NAMES_A_LISTING = 50
NO_POLICIES = "[{}]"
"""Takes every policy away (Systems Manager User Guide, "Assigning parameter policies")."""


class Side:
    """The parameters of one region under one path."""

    def __init__(self, client: Any, place: Place) -> None:
        self._client = client
        self._prefix = place.prefix

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

    def _described(self, filters: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        return pages(self._client.describe_parameters, "Parameters", ParameterFilters=filters, MaxResults=50)

    def value(self, key: str, version: str) -> Value:
        """One version's value, decrypted."""
        answer = call(self._client.get_parameter, Name=f"{self._prefix}{key}:{version}", WithDecryption=True)
        return Value(answer["Parameter"]["Value"])

    def put(self, key: str, value: Value, settings: Mapping[str, Any]) -> str:
        """Write a version; gives its number."""
        answer = call(
            self._client.put_parameter, Name=self._prefix + key, Value=value.text, Overwrite=True, **settings
        )
        return str(answer["Version"])

    def delete(self, key: str) -> None:
        """Take the parameter away with its history."""
        call(self._client.delete_parameter, Name=self._prefix + key)

    def tags(self, key: str) -> dict[str, str]:
        """Its tags."""
        return tags_of(call(self._client.list_tags_for_resource, **self._resource(key))["TagList"])

    def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Give it just these tags."""
        present = self.tags(key)
        gone = sorted(set(present) - set(tags))
        if gone:
            call(self._client.remove_tags_from_resource, TagKeys=gone, **self._resource(key))
        if tags and dict(tags) != present:
            call(self._client.add_tags_to_resource, Tags=tag_list(tags), **self._resource(key))

    def _resource(self, key: str) -> dict[str, str]:
        return {"ResourceType": "Parameter", "ResourceId": self._prefix + key}


def policies(found: Mapping[str, Any]) -> str:
    """A parameter's policies as PutParameter wants them."""
    given = found.get("Policies") or []
    return f"[{','.join(policy['PolicyText'] for policy in given)}]" if given else NO_POLICIES


def changed_policies(wanted: str, present: str) -> dict[str, str]:
    """The argument that brings ``wanted`` about; none when nothing has to change."""
    return {} if wanted == present == NO_POLICIES else {"Policies": wanted}
