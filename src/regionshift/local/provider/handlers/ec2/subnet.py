"""A subnet."""

from __future__ import annotations

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context
from regionshift.local.provider.handlers.ec2.described import Described, Ec2Handler, given
from regionshift.local.provider.wire import Properties


class SubnetHandler(Ec2Handler):
    """Where it lies stays for life; what it gives to its interfaces changes in place."""

    token = "aws:ec2/subnet:Subnet"
    kind, call, answer, id_key = "subnet", "describe_subnets", "Subnets", "SubnetId"
    fields = {
        "vpcId": Field(required=True, replaces=True),
        "cidrBlock": Field(required=True, replaces=True),
        "availabilityZone": Field(computed=True, replaces=True),
        "mapPublicIpOnLaunch": Field(FieldType.FLAG, default=False),
    }
    outputs = ("arn", "availabilityZoneId", "ownerId")
    unique_by = ("vpcId", "cidrBlock")

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("ec2").create_subnet(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            TagSpecifications=self.tag_specifications(context, inputs),
            **given({"AvailabilityZone": inputs.get("availabilityZone")}),
        )
        return str(made["Subnet"]["SubnetId"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        context.client("ec2").modify_subnet_attribute(
            SubnetId=identity, MapPublicIpOnLaunch={"Value": inputs["mapPublicIpOnLaunch"]}
        )

    def properties(self, context: Context, described: Described) -> Properties | None:
        return {
            "arn": described.get("SubnetArn"),
            "vpcId": described["VpcId"],
            "cidrBlock": described["CidrBlock"],
            "availabilityZone": described["AvailabilityZone"],
            "availabilityZoneId": described.get("AvailabilityZoneId"),
            "mapPublicIpOnLaunch": described["MapPublicIpOnLaunch"],
            "ownerId": described.get("OwnerId"),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("ec2").delete_subnet(SubnetId=identity)
