"""VPC endpoints: gateways to S3, interfaces to everything else."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Update
from regionshift.local.provider.handlers.ec2.described import Described, Ec2Handler, given
from regionshift.local.provider.wire import Properties

_GONE = ("deleted", "deleting")  # EC2 still describes an endpoint for a while
_MEMBERS = {
    "routeTableIds": "RouteTableIds",
    "subnetIds": "SubnetIds",
    "securityGroupIds": "SecurityGroupIds",
}


class VpcEndpointHandler(Ec2Handler):
    """Where it leads and from which VPC stays for life; through what it is reached changes in place.

    EC2 tells the policy, the groups and private DNS too; the emulator keeps none of the three, so they are
    not read.
    """

    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    kind, call, answer, id_key = "vpc-endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"
    fields = {
        "vpcId": Field(required=True, replaces=True),
        "serviceName": Field(required=True, replaces=True),
        "vpcEndpointType": Field(default="Gateway", replaces=True, allowed=("Gateway", "Interface")),
        "policy": Field(FieldType.POLICY, computed=True, opaque=True),
        "privateDnsEnabled": Field(FieldType.FLAG, computed=True, opaque=True),
        "routeTableIds": Field(FieldType.SET, computed=True),
        "subnetIds": Field(FieldType.SET, computed=True),
        "securityGroupIds": Field(FieldType.SET, computed=True, opaque=True),
    }
    outputs = ("arn", "ownerId", "prefixListId", "requesterManaged", "state", "networkInterfaceIds")
    volatile = ("networkInterfaceIds",)

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("ec2").create_vpc_endpoint(
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=inputs["vpcEndpointType"],
            TagSpecifications=self.tag_specifications(context, inputs),
            **given(
                {
                    "PolicyDocument": inputs.get("policy"),
                    "PrivateDnsEnabled": inputs.get("privateDnsEnabled"),
                    **{argument: inputs.get(name) for name, argument in _MEMBERS.items()},
                }
            ),
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def properties(self, context: Context, described: Described) -> Properties | None:
        if str(described["State"]).lower() in _GONE:
            return None
        return {
            "arn": self.arn(context, described["VpcEndpointId"]),
            "vpcId": described["VpcId"],
            "serviceName": described["ServiceName"],
            "vpcEndpointType": described["VpcEndpointType"],
            "routeTableIds": described.get("RouteTableIds", []),
            "subnetIds": described.get("SubnetIds", []),
            "networkInterfaceIds": described.get("NetworkInterfaceIds", []),
            "ownerId": described.get("OwnerId"),
            "prefixListId": _prefix_list(context, described),
            "requesterManaged": described.get("RequesterManaged", False),
            "state": described["State"],
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        arguments: dict[str, Any] = {}
        if change.any_of("policy"):
            arguments["PolicyDocument"] = change.news.get("policy")
        if change.any_of("privateDnsEnabled"):
            arguments["PrivateDnsEnabled"] = change.news.get("privateDnsEnabled")
        for name, argument in _MEMBERS.items():
            if change.any_of(name):
                before, after = set(change.olds.get(name) or []), set(change.news.get(name) or [])
                arguments[f"Add{argument}"] = sorted(after - before) or None
                arguments[f"Remove{argument}"] = sorted(before - after) or None
        context.client("ec2").modify_vpc_endpoint(VpcEndpointId=identity, **given(arguments))

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[identity])


def _prefix_list(context: Context, described: Described) -> str:
    """The prefix list of a gateway's service, which security groups admit instead of addresses."""
    if described["VpcEndpointType"] != "Gateway":
        return ""
    named = [{"Name": "prefix-list-name", "Values": [described["ServiceName"]]}]
    listed = context.client("ec2").describe_prefix_lists(Filters=named)["PrefixLists"]
    return str(listed[0]["PrefixListId"]) if listed else ""
