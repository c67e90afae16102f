"""Route tables, and which subnets use them."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.handlers.ec2.described import Described, Ec2Handler
from regionshift.local.provider.wire import Properties


class RouteTableHandler(Ec2Handler):
    """A table with the local route; what else leads out of it is a resource of its own."""

    token = "aws:ec2/routeTable:RouteTable"
    kind, call, answer, id_key = "route-table", "describe_route_tables", "RouteTables", "RouteTableId"
    fields = {"vpcId": Field(required=True, replaces=True)}
    outputs = ("arn", "ownerId")

    def create(self, context: Context, inputs: Properties) -> str:
        made = context.client("ec2").create_route_table(
            VpcId=inputs["vpcId"], TagSpecifications=self.tag_specifications(context, inputs)
        )
        return str(made["RouteTable"]["RouteTableId"])

    def properties(self, context: Context, described: Described) -> Properties | None:
        return {
            "arn": self.arn(context, described["RouteTableId"]),
            "vpcId": described["VpcId"],
            "ownerId": described.get("OwnerId"),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("ec2").delete_route_table(RouteTableId=identity)


class RouteTableAssociationHandler(Handler):
    """The table that a subnet uses. Another table is set in place.

    Its id here is the subnet's: a subnet has one association, and EC2 gives it a new id with every table,
    while the engine's ids never change.
    """

    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    fields = {
        "subnetId": Field(required=True, replaces=True),
        "routeTableId": Field(required=True),
    }

    def create(self, context: Context, inputs: Properties) -> str:
        self._associate(context, inputs["subnetId"], inputs["routeTableId"])
        return str(inputs["subnetId"])

    def _associate(self, context: Context, subnet: str, table: str) -> None:
        ec2 = context.client("ec2")
        used = _used_by(ec2, subnet)
        if used is None:
            ec2.associate_route_table(SubnetId=subnet, RouteTableId=table)
        elif used["RouteTableId"] != table:
            ec2.replace_route_table_association(
                AssociationId=used["RouteTableAssociationId"], RouteTableId=table
            )

    def read(self, context: Context, identity: str) -> Properties | None:
        subnet = _subnet(identity)
        used = _used_by(context.client("ec2"), subnet)
        return None if used is None else {"subnetId": subnet, "routeTableId": used["RouteTableId"]}

    def update(self, context: Context, identity: str, change: Update) -> None:
        self._associate(context, _subnet(identity), change.news["routeTableId"])

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        ec2 = context.client("ec2")
        used = _used_by(ec2, _subnet(identity))
        if used is not None:
            ec2.disassociate_route_table(AssociationId=used["RouteTableAssociationId"])


def _subnet(identity: str) -> str:
    """The subnet; an import names the table after it, as the ordinary plugin wants it."""
    return identity.partition("/")[0]


def _used_by(ec2: Any, subnet: str) -> Described | None:
    """The association of ``subnet``; None while it uses the main table."""
    tables = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    for table in tables["RouteTables"]:
        for association in table["Associations"]:
            if association.get("SubnetId") == subnet:
                return dict(association)
    return None
