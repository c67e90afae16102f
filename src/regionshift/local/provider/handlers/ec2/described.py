"""What all taggable things of EC2 have in common: ids, one call that describes them, and tags."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from regionshift.local.provider.absent import look
from regionshift.local.provider.handler import URN_TAG, Context, Handler
from regionshift.local.provider.sameness import same
from regionshift.local.provider.tags import from_list, to_list
from regionshift.local.provider.wire import Properties

Described = Mapping[str, Any]
"""One thing as EC2 describes it."""


class Ec2Handler(Handler):
    """A thing of EC2 with an id of its own.

    Class attributes:
        kind: its name in tag specifications.
        call: the call that describes it.
        answer: where the answer lists the things.
        id_key: where a described thing keeps its id; with an ``s`` the argument that asks for ids.
    """

    taggable = True
    kind: ClassVar[str]
    call: ClassVar[str]
    answer: ClassVar[str]
    id_key: ClassVar[str]

    @abstractmethod
    def properties(self, context: Context, described: Described) -> Properties | None:
        """Inputs and outputs of one described thing, tags apart; None when it counts as gone."""

    def describe(self, context: Context, **query: Any) -> Iterator[Described]:
        """All things that answer to ``query``."""
        for page in context.client("ec2").get_paginator(self.call).paginate(**query):
            yield from page[self.answer]

    def find(self, context: Context, inputs: Properties) -> str | None:
        query = {"Filters": [{"Name": f"tag:{URN_TAG}", "Values": [context.urn_tag]}]}
        # Looked at again, because the emulator ignores this filter for some kinds.
        owned = [it for it in self.describe(context, **query) if context.owns(tags_of(it))]
        alike = [it for it in owned if self._could_become(context, it, inputs)]
        return next((str(it[self.id_key]) for it in [*alike, *owned]), None)

    def _could_become(self, context: Context, described: Described, inputs: Properties) -> bool:
        """Whether it differs from ``inputs`` only in what can change in place.

        While a resource is replaced two carry its tag, and only the new one may be taken over.
        """
        live = self.properties(context, described)
        return live is not None and all(
            same(live.get(name), inputs.get(name), of)
            for name, of in self.fields.items()
            if of.replaces and not of.opaque and not (of.computed and inputs.get(name) is None)
        )

    def read(self, context: Context, identity: str) -> Properties | None:
        found = look(lambda: next(self.describe(context, **{f"{self.id_key}s": [identity]}), None))
        live = None if found is None else self.properties(context, found)
        return None if found is None or live is None else {**live, "tags": tags_of(found)}

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        context.client("ec2").create_tags(Resources=[identity], Tags=to_list(tags))

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        context.client("ec2").delete_tags(Resources=[identity], Tags=[{"Key": name} for name in names])

    def tag_specifications(self, context: Context, inputs: Properties) -> list[dict[str, Any]]:
        """The argument that tags it in the call that makes it."""
        return [{"ResourceType": self.kind, "Tags": to_list(context.tags(inputs))}]

    def arn(self, context: Context, identity: str) -> str:
        """Its ARN (Service Authorization Reference, "Resource types defined by Amazon EC2")."""
        return f"arn:aws:ec2:{context.region}:{context.account}:{self.kind}/{identity}"


def tags_of(described: Described) -> dict[str, str]:
    """Its tags as a map."""
    return from_list(described.get("Tags", []))


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of a call that have a value."""
    return {name: value for name, value in arguments.items() if value is not None}
