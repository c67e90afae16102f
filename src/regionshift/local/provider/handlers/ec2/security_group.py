"""Security groups, and the one that every VPC comes with."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context
from regionshift.local.provider.handlers.ec2.described import Described, Ec2Handler
from regionshift.local.provider.handlers.ec2.permissions import (
    ALL_PROTOCOLS,
    INLINE_RULES,
    as_inline,
    described,
    inline,
)
from regionshift.local.provider.wire import Properties

_DIRECTIONS = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}
_ANYWHERE = "0.0.0.0/0"


class SecurityGroupHandler(Ec2Handler):
    """A group. It starts without the rule to everywhere that EC2 gives it, as the ordinary plugin does it.

    Inline rules, when given, are all it has; when not, its rules are resources of their own.
    """

    token = "aws:ec2/securityGroup:SecurityGroup"
    kind, call, answer, id_key = "security-group", "describe_security_groups", "SecurityGroups", "GroupId"
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

    def properties(self, context: Context, described: Described) -> Properties | None:
        return group_properties(described, self.arn(context, described["GroupId"]))

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("ec2").delete_security_group(GroupId=identity)


class DefaultSecurityGroupHandler(Ec2Handler):
    """The group that a VPC comes with, taken over: it has the rules given here and no others.

    Nobody can delete it but with its VPC, so deleting this leaves it as it is.
    """

    token = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    kind, call, answer, id_key = (
        SecurityGroupHandler.kind,
        SecurityGroupHandler.call,
        SecurityGroupHandler.answer,
        "GroupId",
    )
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

    def properties(self, context: Context, described: Described) -> Properties | None:
        return group_properties(described, self.arn(context, described["GroupId"]))

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        return


def group_properties(group: Described, arn: str) -> Properties:
    """Inputs and outputs of a described group."""
    return {
        "arn": arn,
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group["VpcId"],
        "ownerId": group.get("OwnerId"),
        **{
            direction: as_inline(described(group.get(listed, [])), group["GroupId"])
            for direction, listed in _DIRECTIONS.items()
        },
    }


def _set_rules(ec2: Any, identity: str, direction: str, rules: list[Properties]) -> None:
    group = ec2.describe_security_groups(GroupIds=[identity])["SecurityGroups"][0]
    live, wanted = set(described(group[_DIRECTIONS[direction]])), set(inline(rules, identity))
    # Revoked first: EC2 takes two rules that differ in their description alone for one.
    for call, found in (("revoke", live - wanted), ("authorize", wanted - live)):
        if found:
            permissions = [one.argument for one in sorted(found, key=repr)]
            getattr(ec2, f"{call}_security_group_{direction}")(GroupId=identity, IpPermissions=permissions)


def _close(ec2: Any, identity: str) -> None:
    """Take away the rule to everywhere that EC2 made; one that is a resource of its own carries tags."""
    query = [{"Name": "group-id", "Values": [identity]}]
    for rule in ec2.describe_security_group_rules(Filters=query)["SecurityGroupRules"]:
        everywhere = rule["IpProtocol"] == ALL_PROTOCOLS and rule.get("CidrIpv4") == _ANYWHERE
        if rule["IsEgress"] and everywhere and not rule.get("Tags"):
            ec2.revoke_security_group_egress(
                GroupId=identity, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
            )
