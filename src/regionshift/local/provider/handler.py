"""The base class of resource types in the local provider.

A handler declares its inputs as fields and calls AWS. Generic code does the rest (difference.py, lifecycle.py): Check,
names, default tags, Diff, previews, adoption of resources from a killed run, drift on Read, and deletion of missing
resources.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from regionshift.aws.clients import Clients
from regionshift.aws.resource_finders import FINDS, Look
from regionshift.local.provider.conversions import to_list
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.wire import Properties

URN_TAG = "regionshift:urn"
"""The tag that identifies the resource and its stack; hidden from the engine."""

REGION = Field(replaces=True)
TAGS = Field(FieldType.MAP)


@dataclass(frozen=True)
class Context:
    """One call on one resource: its URN, account, region and clients."""

    urn: str
    region: str
    account: str
    clients: Clients

    def client(self, service: str) -> Any:
        """Return the boto3 client of ``service`` in the resource's region."""
        return self.clients.named(service, self.region)

    @property
    def urn_tag(self) -> str:
        """The value of the hidden tag: a hash, because a URN has characters that are invalid in tags."""
        return hashlib.sha256(self.urn.encode()).hexdigest()[:40]

    def tags(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """Return all tags of the resource: the user's, the provider's defaults and the hidden one."""
        return {**inputs.get("tagsAll", {}), URN_TAG: self.urn_tag}

    def find_own(self, token: str, inputs: Properties) -> list[str]:
        """Return the ids of existing resources of the type ``token`` for this URN. Few types can have several."""
        finder = FINDS.get(token)  # None for types that are a part of another resource
        look = Look(self.clients, self.account, self.region, inputs, {URN_TAG: self.urn_tag})
        return list(finder(look)) if finder else []

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether the tags belong to this resource, from this run or a killed one."""
        return tags.get(URN_TAG) == self.urn_tag


@dataclass(frozen=True)
class Update:
    """An update in place: the inputs before and after, and the names of those that differ."""

    olds: Properties
    news: Properties
    names: frozenset[str]

    def any_of(self, *names: str) -> bool:
        """Whether one of these inputs differs."""
        return not self.names.isdisjoint(names)


@dataclass(frozen=True)
class TagCalls:
    """A service's calls that add and remove tags, and their arguments.

    Args:
        on: the argument for the resource. form: converts the tags to the argument.
    """

    service: str
    on: str
    tags: str = "Tags"
    keys: str = "TagKeys"
    put: str = "tag_resource"
    take: str = "untag_resource"
    form: Callable[[Mapping[str, str]], Any] = to_list


class Handler(ABC):
    """One resource type. Stateless.

    Class attributes:
        token: the type, as in ``aws:kms/key:Key``.
        fields: the supported inputs, without ``region``, ``tags`` and ``tagsAll``. Check refuses all others.
        outputs: names of the values that AWS computes, unknown in a preview.
        volatile: those of the outputs that an update can change, except an update of tags.
        name: the input with the name, if the type has one; generated from the URN when it is not given.
        name_prefix: the required prefix of a generated name.
        name_limit: the longest name that AWS accepts, in characters.
        unique_by: inputs that, with name and region, must be unique on AWS. When none of them changes, a replacement
            deletes the old resource first. (Generated names come from the URN, so they do not change.)
        taggable: it has ``tags``, and the hidden tag by which it is adopted after a killed run.
        tag_calls: the calls that add and remove its tags.
        regional: it has the ``region`` input of pulumi-aws 7 (IAM has not).

    Calls raise botocore's ``ClientError``. In read and delete, 'not found' means that the resource was deleted.
    """

    token: ClassVar[str]
    fields: ClassVar[Mapping[str, Field]]
    outputs: ClassVar[tuple[str, ...]] = ()
    volatile: ClassVar[tuple[str, ...]] = ()
    name: ClassVar[str | None] = None
    name_prefix: ClassVar[str] = ""
    name_limit: ClassVar[int] = 255
    unique_by: ClassVar[tuple[str, ...]] = ()
    taggable: ClassVar[bool] = False
    tag_calls: ClassVar[TagCalls | None] = None
    regional: ClassVar[bool] = True

    def all_fields(self) -> Mapping[str, Field]:
        """Return ``fields`` and the generic fields."""
        added: dict[str, Field] = {}
        if self.regional:
            added["region"] = REGION
        if self.taggable:
            added |= {"tags": TAGS, "tagsAll": TAGS}
        return MappingProxyType({**self.fields, **added})

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        """Yield mistakes that the fields cannot describe. ``inputs`` can have unknown values."""
        yield from ()

    def also_replaces(self, change: Update) -> frozenset[str]:
        """Return more inputs in ``change`` that need a replacement, besides the fields that always do."""
        return frozenset()

    def find(self, context: Context, inputs: Properties) -> str | None:
        """Return the id of a resource from a killed run, by ``context.urn_tag``, or None."""
        return next(iter(context.find_own(self.token, inputs)), None) if self.taggable else None

    @abstractmethod
    def create(self, context: Context, inputs: Properties) -> str:
        """Create it with ``context.tags(inputs)``; return its id. For untaggable types this must be idempotent.

        Only the creating call belongs here; all others belong in ``finish``.
        """

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        """Make the idempotent calls that complete it, after create and after each update.

        When this fails, the resource counts as created but unfinished, and the next up continues here.
        """

    @abstractmethod
    def read(self, context: Context, identity: str) -> Properties | None:
        """Return all live inputs and outputs, in the types of the fields; None when it was deleted.

        ``tags`` have all tags. Opaque inputs are left out.
        """

    def update(self, context: Context, identity: str, change: Update) -> None:
        """Change the inputs in ``change`` in place, except tags and the work of ``finish``."""

    @abstractmethod
    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        """Delete it. ``properties``: the last known ones, with opaque inputs."""

    def tagged(self, context: Context, identity: str) -> str:
        """Return its name or ARN for the calls of ``tag_calls``."""
        return identity

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        """Set these tags: all tags of the resource, with the hidden one."""
        if self.tag_calls is None:
            raise NotImplementedError(self.token)
        put = getattr(context.client(self.tag_calls.service), self.tag_calls.put)
        thing = {self.tag_calls.on: self.tagged(context, identity)}
        put(**thing, **{self.tag_calls.tags: self.tag_calls.form(tags)})

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        """Remove these tags; called before ``tag``. Not needed where ``tag`` replaces all tags."""
        if self.tag_calls is not None:
            take = getattr(context.client(self.tag_calls.service), self.tag_calls.take)
            take(**{self.tag_calls.on: self.tagged(context, identity), self.tag_calls.keys: names})
