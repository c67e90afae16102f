"""Check: from what the program gives to complete inputs, or to what is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from regionshift.local.provider.fields import InvalidInput, object_mistakes
from regionshift.local.provider.handler import Handler
from regionshift.local.provider.wire import UNKNOWN, Properties, Unknown

DEFAULTS: Final = "__defaults"
"""The hidden input that lists which inputs Check filled in, as the ordinary plugin does it."""

_HASH_LENGTH: Final = 7


@dataclass(frozen=True)
class ProviderConfiguration:
    """What one instance of the provider was configured with."""

    region: str
    default_tags: Mapping[str, str] = field(default_factory=dict)


def checked(
    handler: Handler, urn: str, news: Properties, olds: Properties, configuration: ProviderConfiguration
) -> tuple[Properties, list[InvalidInput]]:
    """Complete inputs and what AWS would refuse in them. ``olds`` is empty on create and on replace."""
    given = {name: value for name, value in news.items() if value is not None and name != DEFAULTS}
    given.pop("tagsAll", None)
    filled = {name: value for name, value in _defaults(handler, urn, olds).items() if name not in given}
    inputs = {**filled, **given}
    if handler.regional:
        inputs.setdefault("region", configuration.region)
    if handler.taggable:
        inputs["tagsAll"] = _all_tags(inputs.get("tags"), configuration.default_tags)
    found = list(object_mistakes(inputs, handler.all_fields()))
    if not found:  # what a handler looks at has its shape by now
        found = list(handler.mistakes(inputs))
    return {**inputs, DEFAULTS: sorted(filled)}, found


def _defaults(handler: Handler, urn: str, olds: Properties) -> Properties:
    values: Properties = {name: of.default for name, of in handler.fields.items() if of.default is not None}
    if handler.name is not None:
        values[handler.name] = _generated_name(handler, urn, olds)
    return values


def _generated_name(handler: Handler, urn: str, olds: Properties) -> str:
    """A name made from the URN: the same in every run, so that what a killed run made is found again."""
    if handler.name in olds.get(DEFAULTS, ()) and handler.name in olds:
        return str(olds[handler.name])  # an alias changed the URN; the resource keeps its name
    ending = "-" + hashlib.sha256(urn.encode()).hexdigest()[:_HASH_LENGTH]
    head = handler.name_prefix + urn.rsplit("::", 1)[-1]
    return head[: handler.name_limit - len(ending)] + ending


def _all_tags(tags: Any, default_tags: Mapping[str, str]) -> Any:
    if isinstance(tags, Unknown) or not isinstance(tags, Mapping | None):
        return UNKNOWN
    given = {name: value for name, value in (tags or {}).items() if value is not None}
    return {**default_tags, **given}
