"""What a resource type of the local provider has to say and do; everything else is done for all of them.

A handler declares its inputs as fields and talks to AWS. Check, names, default tags, Diff, previews, adoption
of what a killed run left behind, drift on Read and 'gone already' are generic (difference.py,
lifecycle.py).
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
"""The tag that tells which resource of which stack something is; never shown to the engine."""

REGION = Field(replaces=True)
TAGS = Field(FieldType.MAP)


@dataclass(frozen=True)
class Context:
    """One call on one resource: who it is, where it lives, and how to reach AWS there."""

    urn: str
    region: str
    account: str
    clients: Clients

    def client(self, service: str) -> Any:
        """The boto3 client of ``service`` in the resource's own region."""
        return self.clients.named(service, self.region)

    @property
    def urn_tag(self) -> str:
        """The value of the hidden tag. A hash, because a URN has characters that tags may not have."""
        return hashlib.sha256(self.urn.encode()).hexdigest()[:40]

    def tags(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """All tags that the resource must carry: the user's, the provider's defaults and the hidden one."""
        return {**inputs.get("tagsAll", {}), URN_TAG: self.urn_tag}

    def find_own(self, token: str, inputs: Properties) -> list[str]:
        """The ids of what is of the type ``token`` and was made for this resource; of few types more than one."""
        finder = FINDS.get(token)  # none for what comes with another resource, and is found with it
        look = Look(self.clients, self.account, self.region, inputs, {URN_TAG: self.urn_tag})
        return list(finder(look)) if finder else []

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether something with these tags was made for this resource, by this run or one that died."""
        return tags.get(URN_TAG) == self.urn_tag


@dataclass(frozen=True)
class Update:
    """An update in place: inputs before and after, and the names of those that differ."""

    olds: Properties
    news: Properties
    names: frozenset[str]

    def any_of(self, *names: str) -> bool:
        """Whether one of these inputs differs."""
        return not self.names.isdisjoint(names)


@dataclass(frozen=True)
class TagCalls:
    """How a service puts tags on a thing and takes them away: its calls, and what they call their arguments.

    Args:
        on: the argument that names the thing. form: what the call takes the tags as.
    """

    service: str
    on: str
    tags: str = "Tags"
    keys: str = "TagKeys"
    put: str = "tag_resource"
    take: str = "untag_resource"
    form: Callable[[Mapping[str, str]], Any] = to_list


class Handler(ABC):
    """One resource type. Stateless: everything comes with the call.

    Class attributes:
        token: the type, as in ``aws:kms/key:Key``.
        fields: the inputs the type takes here, without ``region``, ``tags`` and ``tagsAll``. Anything else
            is refused in Check.
        outputs: names of what AWS computes, unknown in a preview.
        volatile: those of the outputs that any update but one of tags may change.
        name: the input that holds the name, when the type has one; made from the URN when not given.
        name_prefix: what a generated name must begin with.
        name_limit: longest name AWS accepts, in characters.
        unique_by: inputs that, with name and region, AWS allows once. When all of them stay, a replacement
            deletes the old one first. (Generated names come from the URN, so they stay too.)
        taggable: it has ``tags``, and carries the hidden tag by which a lost create is adopted.
        tag_calls: how its tags are changed, where that is a call to put some and one to take some away.
        regional: it has the ``region`` input of pulumi-aws 7 (IAM has not).

    Calls raise botocore's ``ClientError``; 'not found' in read and delete is understood as gone.
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
        """``fields`` with those that generic code adds."""
        added: dict[str, Field] = {}
        if self.regional:
            added["region"] = REGION
        if self.taggable:
            added |= {"tags": TAGS, "tagsAll": TAGS}
        return MappingProxyType({**self.fields, **added})

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        """What AWS would refuse beyond what the fields tell. ``inputs`` may hold values not known yet."""
        yield from ()

    def also_replaces(self, change: Update) -> frozenset[str]:
        """Inputs that ``change`` cannot change in place, beyond the fields that always replace."""
        return frozenset()

    def find(self, context: Context, inputs: Properties) -> str | None:
        """The id of what a lost create left, of whatever is taggable: it carries ``context.urn_tag``."""
        return next(iter(context.find_own(self.token, inputs)), None) if self.taggable else None

    @abstractmethod
    def create(self, context: Context, inputs: Properties) -> str:
        """Make it with ``context.tags(inputs)``; return its id. An idempotent put for untaggable types.

        Only the call that makes it belongs here; what else it needs belongs in ``finish``.
        """

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        """Idempotent calls that complete it, after create and after every update.

        When this fails the resource counts as made but unfinished, and the next up goes on from here.
        """

    @abstractmethod
    def read(self, context: Context, identity: str) -> Properties | None:
        """All live properties, inputs and outputs, in the shapes of the fields; None when gone.

        ``tags`` are returned as they are; opaque inputs are left out.
        """

    def update(self, context: Context, identity: str, change: Update) -> None:
        """Change in place what ``change`` names, tags and what ``finish`` does apart."""

    @abstractmethod
    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        """Remove it. ``properties`` are the last known ones, opaque inputs included."""

    def tagged(self, context: Context, identity: str) -> str:
        """What the calls of ``tag_calls`` know it by."""
        return identity

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        """Put these tags, which are all that it shall have, hidden one included."""
        if self.tag_calls is None:
            raise NotImplementedError(self.token)
        put = getattr(context.client(self.tag_calls.service), self.tag_calls.put)
        thing = {self.tag_calls.on: self.tagged(context, identity)}
        put(**thing, **{self.tag_calls.tags: self.tag_calls.form(tags)})

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        """Take these tags away; called before ``tag``. Not needed where ``tag`` replaces the whole set."""
        if self.tag_calls is not None:
            take = getattr(context.client(self.tag_calls.service), self.tag_calls.take)
            take(**{self.tag_calls.on: self.tagged(context, identity), self.tag_calls.keys: names})
