"""One rule of a security group as a resource of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Update
from regionshift.local.provider.handlers.ec2.described import Described, Ec2Handler, given
from regionshift.local.provider.handlers.ec2.permissions import ALL_PROTOCOLS
from regionshift.local.provider.wire import Properties

_SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
_RANGES = {
    "cidrIpv4": ("IpRanges", "CidrIp"),
    "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListId": ("PrefixListIds", "PrefixListId"),
    "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


class _Rule(Ec2Handler):
    """Its group stays for life; everything else is modified in place."""

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
        # EC2 tells it back, the emulator does not.
        "prefixListId": Field(opaque=True),
    }
    outputs = ("arn", "securityGroupRuleId")

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        if sum(inputs.get(name) is not None for name in _SOURCES) != 1:
            yield InvalidInput("cidrIpv4", f"exactly one of {', '.join(_SOURCES)} must be given")

    def create(self, context: Context, inputs: Properties) -> str:
        source = next(name for name in _SOURCES if inputs.get(name))
        listed, key = _RANGES[source]
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
        # The emulator drops a prefix list when a rule is made, but not when it is modified.
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
    """Who may come in."""

    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    direction = "ingress"


class EgressRuleHandler(_Rule):
    """Where it may go."""

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
