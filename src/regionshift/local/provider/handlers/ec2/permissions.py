"""Rules of a security group, as EC2 groups them and as a program writes them inline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.wire import Properties

ALL_PROTOCOLS = "-1"

INLINE_RULES: Mapping[str, Field] = {
    "protocol": Field(required=True),
    "fromPort": Field(FieldType.INTEGER, default=0),
    "toPort": Field(FieldType.INTEGER, default=0),
    "cidrBlocks": Field(FieldType.SET),
    "ipv6CidrBlocks": Field(FieldType.SET),
    "prefixListIds": Field(FieldType.SET),
    "securityGroups": Field(FieldType.SET),
    "self": Field(FieldType.FLAG, default=False),
    "description": Field(),
}
"""The inputs of one inline rule."""

_RANGES = {
    "cidrBlocks": ("IpRanges", "CidrIp"),
    "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListIds": ("PrefixListIds", "PrefixListId"),
    "securityGroups": ("UserIdGroupPairs", "GroupId"),
}


@dataclass(frozen=True)
class IpPermission:
    """One protocol and port range from or to one source."""

    protocol: str
    from_port: int
    to_port: int
    kind: str
    source: str
    description: str

    @property
    def argument(self) -> dict[str, Any]:
        """As EC2's calls take it."""
        listed, key = _RANGES[self.kind]
        told = {"Description": self.description} if self.description else {}
        ports = {} if self.protocol == ALL_PROTOCOLS else {"FromPort": self.from_port, "ToPort": self.to_port}
        return {"IpProtocol": self.protocol, **ports, listed: [{key: self.source, **told}]}


def described(permissions: Iterable[Mapping[str, Any]]) -> Iterator[IpPermission]:
    """The rules that EC2 describes, one for each source."""
    for permission in permissions:
        for kind, (listed, key) in _RANGES.items():
            for source in permission.get(listed, []):
                yield IpPermission(
                    permission["IpProtocol"],
                    max(permission.get("FromPort", 0), 0),
                    max(permission.get("ToPort", 0), 0),
                    kind,
                    source[key],
                    source.get("Description", ""),
                )


def inline(rules: Iterable[Properties], group: str) -> Iterator[IpPermission]:
    """The rules that a program writes for ``group``, one for each source."""
    for rule in rules:
        sources = {kind: list(rule.get(kind) or []) for kind in _RANGES}
        if rule.get("self"):
            sources["securityGroups"].append(group)
        for kind, names in sources.items():
            for source in names:
                yield IpPermission(
                    rule["protocol"],
                    rule.get("fromPort") or 0,
                    rule.get("toPort") or 0,
                    kind,
                    source,
                    rule.get("description") or "",
                )


def as_inline(permissions: Iterable[IpPermission], group: str) -> list[Properties]:
    """The rules as a program would write them, with all sources of one port range in one rule."""
    rules: dict[tuple[str, int, int, str], Properties] = {}
    for one in permissions:
        head = (one.protocol, one.from_port, one.to_port, one.description)
        plain = {"protocol": one.protocol, "fromPort": one.from_port, "toPort": one.to_port, "self": False}
        rule = rules.setdefault(head, plain | ({"description": one.description} if one.description else {}))
        if one.kind == "securityGroups" and one.source == group:
            rule["self"] = True
        else:
            rule.setdefault(one.kind, []).append(one.source)
    return list(rules.values())
