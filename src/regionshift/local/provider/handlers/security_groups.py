"""Security groups of EC2, the default group of a VPC, and their rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from regionshift.local.provider.conversions import given
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.handlers.ec2 import Described, Ec2Handler
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
"""The inputs of an inline rule."""

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
        """Return the argument for EC2's calls."""
        listed, key = _RANGES[self.kind]
        told = {"Description": self.description} if self.description else {}
        ports = {} if self.protocol == ALL_PROTOCOLS else {"FromPort": self.from_port, "ToPort": self.to_port}
        return {"IpProtocol": self.protocol, **ports, listed: [{key: self.source, **told}]}


def permissions_of(permissions: Iterable[Mapping[str, Any]]) -> Iterator[IpPermission]:
    """Yield the rules in EC2's answer, one for each source."""
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
    """Yield the program's inline rules for ``group``, one for each source."""
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
    """Return the rules as inline rules, with all sources of a port range in one rule."""
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


_DIRECTIONS = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}
_ANYWHERE = "0.0.0.0/0"


class _Group(Ec2Handler):
    kind, call, answer, id_key = "security-group", "describe_security_groups", "SecurityGroups", "GroupId"

    def properties(self, context: Context, described: Described) -> Properties | None:
        rules = {
            direction: as_inline(permissions_of(described.get(listed, [])), described["GroupId"])
            for direction, listed in _DIRECTIONS.items()
        }
        return {
            "arn": self.arn(context, described["GroupId"]),
            "name": described["GroupName"],
            "description": described["Description"],
            "vpcId": described["VpcId"],
            "ownerId": described.get("OwnerId"),
            **rules,
        }


class SecurityGroupHandler(_Group):
    """A security group. As in the ordinary plugin, EC2's default egress rule is removed.

    With inline rules it has no other rules. Without them, its rules are resources of their own.
    """

    token = "aws:ec2/securityGroup:SecurityGroup"
    name = "name"
    fields = {
        "name": Field(required=True, replaces=True),
        "description": Field(default="Managed by Pulumi", replaces=True),
        "vpcId": Field(required=True, replaces=True),
        "ingress": Field(FieldType.SET, computed=True, items=INLINE_RULES),
        "egress": Field(FieldType.SET, computed=True, items=INLINE_RULES),
    }
    outputs = ("arn", "ownerId")
    unique_by = ("vpcId",)

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("ec2").create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=self.tag_specifications(context, inputs),
        )
        return str(made["GroupId"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        ec2 = context.client("ec2")
        for direction in _DIRECTIONS:
            if inputs.get(direction) is not None:
                _set_rules(ec2, identity, direction, inputs[direction])
        if inputs.get("egress") is None:
            _close(ec2, identity)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("ec2").delete_security_group(GroupId=identity)


class DefaultSecurityGroupHandler(_Group):
    """The default group of a VPC, with exactly the given rules.

    It can be deleted only with its VPC, so Delete does nothing.
    """

    token = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    fields = {
        "vpcId": Field(required=True, replaces=True),
        "ingress": Field(FieldType.SET, items=INLINE_RULES),
        "egress": Field(FieldType.SET, items=INLINE_RULES),
    }
    outputs = ("arn", "ownerId", "name", "description")

    def create(self, context: Context, inputs: Properties) -> str:
        query = {"vpc-id": inputs["vpcId"], "group-name": "default"}
        filters = [{"Name": name, "Values": [value]} for name, value in query.items()]
        identity = str(next(self.describe(context, Filters=filters))["GroupId"])
        self.tag(context, identity, context.tags(inputs))
        return identity

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        for direction in _DIRECTIONS:
            _set_rules(context.client("ec2"), identity, direction, inputs.get(direction) or [])

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        return


def _set_rules(ec2: Any, identity: str, direction: str, rules: list[Properties]) -> None:
    group = ec2.describe_security_groups(GroupIds=[identity])["SecurityGroups"][0]
    live, wanted = set(permissions_of(group[_DIRECTIONS[direction]])), set(inline(rules, identity))
    # Revoked first: for EC2, rules that differ only in their description are the same.
    for call, found in (("revoke", live - wanted), ("authorize", wanted - live)):
        if found:
            permissions = [one.argument for one in sorted(found, key=repr)]
            getattr(ec2, f"{call}_security_group_{direction}")(GroupId=identity, IpPermissions=permissions)


def _close(ec2: Any, identity: str) -> None:
    """Remove EC2's default egress rule. A rule that is a resource of its own has tags."""
    query = [{"Name": "group-id", "Values": [identity]}]
    for rule in ec2.describe_security_group_rules(Filters=query)["SecurityGroupRules"]:
        everywhere = rule["IpProtocol"] == ALL_PROTOCOLS and rule.get("CidrIpv4") == _ANYWHERE
        if rule["IsEgress"] and everywhere and not rule.get("Tags"):
            ec2.revoke_security_group_egress(
                GroupId=identity, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
            )


_SOURCES = {
    "cidrIpv4": "cidrBlocks",
    "cidrIpv6": "ipv6CidrBlocks",
    "prefixListId": "prefixListIds",
    "referencedSecurityGroupId": "securityGroups",
}
"""The input of a separate rule, and that of an inline rule."""


class _Rule(Ec2Handler):
    """A separate rule. A new group replaces it."""

    kind, call, answer = "security-group-rule", "describe_security_group_rules", "SecurityGroupRules"
    id_key = "SecurityGroupRuleId"
    direction: ClassVar[str]
    fields = {
        "securityGroupId": Field(required=True, replaces=True),
        "ipProtocol": Field(required=True),
        "fromPort": Field(FieldType.INTEGER, computed=True, minimum=-1, maximum=65535),
        "toPort": Field(FieldType.INTEGER, computed=True, minimum=-1, maximum=65535),
        "description": Field(),
        "cidrIpv4": Field(),
        "cidrIpv6": Field(),
        "referencedSecurityGroupId": Field(),
        # EC2 returns it, the emulator does not.
        "prefixListId": Field(opaque=True),
    }
    outputs = ("arn", "securityGroupRuleId")

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        if sum(inputs.get(name) is not None for name in _SOURCES) != 1:
            yield InvalidInput("cidrIpv4", f"exactly one of {', '.join(_SOURCES)} must be given")

    def create(self, context: Context, inputs: Properties) -> str:
        source = next(name for name in _SOURCES if inputs.get(name))
        listed, key = _RANGES[_SOURCES[source]]
        told = given({"Description": inputs.get("description")})
        permission = {"IpProtocol": inputs["ipProtocol"], listed: [{key: inputs[source], **told}]}
        authorize = getattr(context.client("ec2"), f"authorize_security_group_{self.direction}")
        made = authorize(
            GroupId=inputs["securityGroupId"],
            IpPermissions=[{**permission, **_ports(inputs)}],
            TagSpecifications=self.tag_specifications(context, inputs),
        )
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        # The emulator drops a prefix list when a rule is created, but not when it is modified.
        if inputs.get("prefixListId"):
            _modify(context.client("ec2"), identity, inputs)

    def update(self, context: Context, identity: str, change: Update) -> None:
        _modify(context.client("ec2"), identity, change.news)

    def properties(self, context: Context, described: Described) -> Properties | None:
        if described["IsEgress"] != (self.direction == "egress"):
            return None
        return {
            "arn": described.get("SecurityGroupRuleArn"),
            "securityGroupRuleId": described["SecurityGroupRuleId"],
            "securityGroupId": described["GroupId"],
            "ipProtocol": described["IpProtocol"],
            "fromPort": described.get("FromPort"),
            "toPort": described.get("ToPort"),
            "description": described.get("Description"),
            "cidrIpv4": described.get("CidrIpv4"),
            "cidrIpv6": described.get("CidrIpv6"),
            "referencedSecurityGroupId": described.get("ReferencedGroupInfo", {}).get("GroupId"),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        revoke = getattr(context.client("ec2"), f"revoke_security_group_{self.direction}")
        revoke(GroupId=properties["securityGroupId"], SecurityGroupRuleIds=[identity])


class IngressRuleHandler(_Rule):
    """An ingress rule."""

    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    direction = "ingress"


class EgressRuleHandler(_Rule):
    """An egress rule."""

    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    direction = "egress"


def _ports(inputs: Properties) -> dict[str, int]:
    if inputs["ipProtocol"] == ALL_PROTOCOLS:
        return {}
    return given({"FromPort": inputs.get("fromPort"), "ToPort": inputs.get("toPort")})


def _modify(ec2: Any, identity: str, inputs: Properties) -> None:
    rule = {
        "IpProtocol": inputs["ipProtocol"],
        "Description": inputs.get("description") or "",
        "CidrIpv4": inputs.get("cidrIpv4"),
        "CidrIpv6": inputs.get("cidrIpv6"),
        "PrefixListId": inputs.get("prefixListId"),
        "ReferencedGroupId": inputs.get("referencedSecurityGroupId"),
        **_ports(inputs),
    }
    ec2.modify_security_group_rules(
        GroupId=inputs["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": identity, "SecurityGroupRule": given(rule)}],
    )


HANDLERS: tuple[Handler, ...] = (
    SecurityGroupHandler(),
    DefaultSecurityGroupHandler(),
    IngressRuleHandler(),
    EgressRuleHandler(),
)
