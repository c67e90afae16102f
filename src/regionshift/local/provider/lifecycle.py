"""Generic Check, Create, Read, Update and Delete for all resource types."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.errors import is_gone
from regionshift.errors import WorkFailed
from regionshift.local.provider.difference import difference, same
from regionshift.local.provider.failures import passes
from regionshift.local.provider.fields import Field, InvalidInput, object_mistakes
from regionshift.local.provider.handler import URN_TAG, Context, Handler, Update
from regionshift.local.provider.session import ProviderConfiguration
from regionshift.local.provider.wire import UNKNOWN, Properties, Unknown
from regionshift.waiting import settling

DEFAULTS: Final = "__defaults"
"""The hidden input with the names of inputs that Check filled in, as in the ordinary plugin."""

_HASH_LENGTH: Final = 7


def checked(
    handler: Handler, urn: str, news: Properties, olds: Properties, configuration: ProviderConfiguration
) -> tuple[Properties, list[InvalidInput]]:
    """Return the complete inputs, and their mistakes. ``olds`` is empty on create and on replace."""
    given = {name: value for name, value in news.items() if value is not None and name != DEFAULTS}
    given.pop("tagsAll", None)
    filled = {name: value for name, value in _defaults(handler, urn, olds).items() if name not in given}
    inputs = {**filled, **given}
    if handler.regional:
        inputs.setdefault("region", configuration.region)
    if handler.taggable:
        inputs["tagsAll"] = _all_tags(inputs.get("tags"), configuration.default_tags)
    found = list(object_mistakes(inputs, handler.all_fields()))
    if not found:  # a handler needs inputs of the right types
        found = list(handler.mistakes(inputs))
    return {**inputs, DEFAULTS: sorted(filled)}, found


def _defaults(handler: Handler, urn: str, olds: Properties) -> Properties:
    values: Properties = {name: of.default for name, of in handler.fields.items() if of.default is not None}
    if handler.name is not None:
        values[handler.name] = _generated_name(handler, urn, olds)
    return values


def _generated_name(handler: Handler, urn: str, olds: Properties) -> str:
    """Return a name from the URN. It is the same in each run, so that resources of a killed run are found again."""
    if handler.name in olds.get(DEFAULTS, ()) and handler.name in olds:
        return str(olds[handler.name])  # the name stays when an alias changes the URN
    ending = "-" + hashlib.sha256(urn.encode()).hexdigest()[:_HASH_LENGTH]
    head = handler.name_prefix + urn.rsplit("::", 1)[-1]
    return head[: handler.name_limit - len(ending)] + ending


def _all_tags(tags: Any, default_tags: Mapping[str, str]) -> Any:
    if isinstance(tags, Unknown) or not isinstance(tags, Mapping | None):
        return UNKNOWN
    given = {name: value for name, value in (tags or {}).items() if value is not None}
    return {**default_tags, **given}


_Done = TypeVar("_Done")


def _patiently(call: Callable[[], _Done], passing: Callable[[ClientError], bool] = passes) -> _Done:
    """Make a call, and retry temporary refusals, as the ordinary plugin does.

    Raises:
        ClientError: AWS refused permanently, or still refuses.
    """
    return settling("aws").past(call, lambda error: isinstance(error, ClientError) and passing(error))


def _passes_of_new(error: ClientError) -> bool:
    """Whether the refusal is temporary for a new resource, which AWS may not find yet."""
    return passes(error) or is_gone(error)


_TAGS = frozenset({"tags", "tagsAll"})


class InitializationFailed(Exception):
    """The resource exists, but a step after its creation failed."""

    def __init__(self, identity: str, properties: Properties, cause: BotoCoreError | ClientError) -> None:
        super().__init__(str(cause))
        self.identity = identity
        self.properties = properties
        self.cause = cause


@dataclass(frozen=True)
class Resource:
    """One live resource: its id and properties for the engine."""

    identity: str
    inputs: Properties
    properties: Properties


def create(handler: Handler, context: Context, inputs: Properties, known: Collection[str]) -> Resource:
    """Create the resource, or adopt the one from a killed run.

    Args:
        known: ids in the engine's state for this URN. They will be replaced, so they are not adopted.

    Raises:
        InitializationFailed: it was created, but is unfinished.
    """
    identity = _adopt(handler, context, inputs, known) or _make(handler, context, inputs, known)
    try:
        _patiently(lambda: handler.finish(context, identity, inputs))
        live = _patiently(lambda: handler.read(context, identity), _passes_of_new)
        return _current(handler, context, identity, inputs, live)
    except (BotoCoreError, ClientError) as error:
        raise InitializationFailed(identity, _without_hidden(inputs), error) from error


def _make(handler: Handler, context: Context, inputs: Properties, known: Collection[str]) -> str:
    """Create it. When the answer is lost, look whether AWS created it."""
    try:
        return _patiently(lambda: handler.create(context, inputs))
    except (BotoCoreError, ClientError) as error:
        identity = handler.find(context, inputs)
        if identity is None or identity in known:
            raise
        raise InitializationFailed(identity, _without_hidden(inputs), error) from error


def _adopt(handler: Handler, context: Context, inputs: Properties, known: Collection[str]) -> str | None:
    identity = handler.find(context, inputs)
    live = None if identity is None or identity in known else handler.read(context, identity)
    if identity is None or live is None:
        return None
    olds = _inputs_of(handler, context, live, inputs)
    found = difference(handler, olds, inputs)
    if found.replaces:
        handler.delete(context, identity, {**inputs, **live})
        return None
    opaque = {name for name, of in handler.fields.items() if of.opaque and not of.replaces and name in inputs}
    _apply(handler, context, identity, Update(olds, inputs, found.change.names | opaque))
    return identity


def update(handler: Handler, context: Context, identity: str, olds: Properties, news: Properties) -> Resource:
    """Change the inputs that differ, and finish an unfinished resource."""
    _apply(handler, context, identity, difference(handler, olds, news).change)
    _patiently(lambda: handler.finish(context, identity, news))
    return _current(handler, context, identity, news, _live(handler, context, identity))


def _apply(handler: Handler, context: Context, identity: str, change: Update) -> None:
    if change.any_of(*_TAGS):
        gone = sorted(set(change.olds.get("tagsAll") or {}) - set(change.news.get("tagsAll") or {}))
        if gone:
            _patiently(lambda: handler.untag(context, identity, gone))
        _patiently(lambda: handler.tag(context, identity, context.tags(change.news)))
    if change.names - _TAGS:
        _patiently(lambda: handler.update(context, identity, change))


def delete(handler: Handler, context: Context, identity: str, properties: Properties) -> None:
    """Delete it. A missing resource is a success."""
    try:
        _patiently(lambda: handler.delete(context, identity, properties))
    except ClientError as error:
        if not is_gone(error):
            raise


def read(
    handler: Handler,
    context: Context,
    identity: str,
    inputs: Properties,
    properties: Properties,
    *,
    default_tags: Mapping[str, str],
) -> Resource | None:
    """Return the live resource; None when it was deleted. ``inputs``: those of the state, empty on import."""
    live = _live(handler, context, identity)
    if live is None:
        return None
    asked = inputs or {"tagsAll": default_tags}
    current = _inputs_of(handler, context, live, asked)
    return Resource(identity, current, _properties_of(handler, {**properties, **current}, live))


def _current(
    handler: Handler, context: Context, identity: str, inputs: Properties, live: Properties | None
) -> Resource:
    if live is None:
        raise WorkFailed(
            f"{identity} was deleted while it was changed", where=context.region, error_id="RS-LOCAL-006"
        )
    return Resource(identity, inputs, _properties_of(handler, inputs, live))


def _live(handler: Handler, context: Context, identity: str) -> Properties | None:
    try:
        return handler.read(context, identity)
    except ClientError as error:
        if is_gone(error):
            return None
        raise


def _properties_of(handler: Handler, inputs: Properties, live: Properties) -> Properties:
    """Return inputs and outputs. A value with the same meaning keeps the program's spelling."""
    fields = handler.all_fields()
    merged = _without_hidden(inputs)
    for name, value in live.items():
        of = fields.get(name)
        if name not in _TAGS and (of is None or not same(inputs.get(name), value, of)):
            merged[name] = value
    if handler.taggable:
        merged["tagsAll"] = _visible(live.get("tags"))
    return merged


def _without_hidden(inputs: Properties) -> Properties:
    return {name: value for name, value in inputs.items() if name != DEFAULTS}


def _visible(tags: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (tags or {}).items() if name != URN_TAG}


def _inputs_of(handler: Handler, context: Context, live: Properties, inputs: Properties) -> Properties:
    """Return ``inputs`` with the live values where they differ; the next Diff sees these as drift."""
    current: Properties = {DEFAULTS: inputs[DEFAULTS]} if DEFAULTS in inputs else {}
    for name, of in handler.fields.items():
        value = _input_of(name, of, live, inputs)
        if value is not None:
            current[name] = value
    if handler.regional:
        current["region"] = context.region
    if handler.taggable:
        current |= _tag_inputs(live, inputs)
    return current


def _input_of(name: str, of: Field, live: Properties, inputs: Properties) -> Any:
    given, value = inputs.get(name), live.get(name)
    if of.opaque or same(given, value, of):
        return given
    if given is None and of.computed and DEFAULTS in inputs:
        return None  # AWS chose it
    return value


def _tag_inputs(live: Properties, inputs: Properties) -> Properties:
    tags = _visible(live.get("tags"))
    own = inputs.get("tags") or {}
    defaults = {name: value for name, value in (inputs.get("tagsAll") or {}).items() if name not in own}
    shown = {name: value for name, value in tags.items() if defaults.get(name) != value}
    given = {"tags": shown} if shown or own else {}
    return {**given, "tagsAll": tags}


def previewed_create(handler: Handler, inputs: Properties) -> Properties:
    """Return the result of Create, with unknown values."""
    computed = {name for name, of in handler.fields.items() if of.computed} | set(handler.outputs)
    unknown = {name: UNKNOWN for name in computed if inputs.get(name) is None}
    return {**unknown, **_without_hidden(inputs)}


def previewed_update(
    handler: Handler, properties: Properties, olds: Properties, news: Properties
) -> Properties:
    """Return the result of Update, with unknown values."""
    changed = difference(handler, olds, news).change.names - _TAGS
    unknown = dict.fromkeys(handler.volatile, UNKNOWN) if changed else {}
    removed = set(olds) - set(news)
    kept = {name: value for name, value in properties.items() if name not in removed}
    return {**kept, **_without_hidden(news), **unknown}
