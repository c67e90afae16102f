"""A VPC."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context
from regionshift.local.provider.handlers.ec2.described import Described, Ec2Handler
from regionshift.local.provider.wire import Properties

_ATTRIBUTES = {
    "enableDnsSupport": "EnableDnsSupport",
    "enableDnsHostnames": "EnableDnsHostnames",
}


class VpcHandler(Ec2Handler):
    """Its range and tenancy stay for life; the DNS attributes change in place."""

    token = "aws:ec2/vpc:Vpc"
    kind, call, answer, id_key = "vpc", "describe_vpcs", "Vpcs", "VpcId"
    fields = {
        "cidrBlock": Field(required=True, replaces=True),
        "instanceTenancy": Field(default="default", replaces=True, allowed=("default", "dedicated")),
        "enableDnsSupport": Field(FieldType.FLAG, default=True),
        "enableDnsHostnames": Field(FieldType.FLAG, default=False),
    }
    outputs = (
        "arn",
        "defaultNetworkAclId",
        "defaultRouteTableId",
        "defaultSecurityGroupId",
        "dhcpOptionsId",
        "mainRouteTableId",
        "ownerId",
    )

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("ec2").create_vpc(
            CidrBlock=inputs["cidrBlock"],
            InstanceTenancy=inputs["instanceTenancy"],
            TagSpecifications=self.tag_specifications(context, inputs),
        )
        return str(made["Vpc"]["VpcId"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        ec2 = context.client("ec2")
        for name, attribute in _ATTRIBUTES.items():  # one a call, DNS support first: EC2 wants it so
            ec2.modify_vpc_attribute(VpcId=identity, **{attribute: {"Value": inputs[name]}})

    def properties(self, context: Context, described: Described) -> Properties | None:
        ec2, identity = context.client("ec2"), described["VpcId"]
        tables = ec2.describe_route_tables(Filters=[*_in(identity), _where("association.main", "true")])
        main = _first(tables["RouteTables"], "RouteTableId")
        acls = ec2.describe_network_acls(Filters=[*_in(identity), _where("default", "true")])
        groups = ec2.describe_security_groups(Filters=[*_in(identity), _where("group-name", "default")])
        return {
            "arn": self.arn(context, identity),
            "cidrBlock": described["CidrBlock"],
            "instanceTenancy": described["InstanceTenancy"],
            "dhcpOptionsId": described.get("DhcpOptionsId"),
            "ownerId": described.get("OwnerId"),
            "mainRouteTableId": main,
            "defaultRouteTableId": main,
            "defaultNetworkAclId": _first(acls["NetworkAcls"], "NetworkAclId"),
            "defaultSecurityGroupId": _first(groups["SecurityGroups"], "GroupId"),
            **{name: _attribute(ec2, identity, attribute) for name, attribute in _ATTRIBUTES.items()},
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("ec2").delete_vpc(VpcId=identity)


def _attribute(ec2: Any, identity: str, attribute: str) -> bool:
    asked = attribute[0].lower() + attribute[1:]
    return bool(ec2.describe_vpc_attribute(VpcId=identity, Attribute=asked)[attribute]["Value"])


def _in(vpc: str) -> list[dict[str, Any]]:
    return [_where("vpc-id", vpc)]


def _where(name: str, value: str) -> dict[str, Any]:
    return {"Name": name, "Values": [value]}


def _first(listed: list[Described], key: str) -> str | None:
    return str(listed[0][key]) if listed else None
