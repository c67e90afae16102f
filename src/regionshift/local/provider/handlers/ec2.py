"""EC2's networks: VPCs and their parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from regionshift.aws.resource_finders import unless_gone
from regionshift.local.provider.conversions import from_list, given, to_list
from regionshift.local.provider.difference import same
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.wire import Properties

Described = Mapping[str, Any]
"""One resource in EC2's answer."""


class Ec2Handler(Handler):
    """A resource of EC2 with an id.

    Class attributes:
        kind: its type in tag specifications.
        call: the call that describes it.
        answer: the field of the answer with the resources.
        id_key: the field with the id; with an ``s``, the argument for ids.
    """

    taggable = True
    kind: ClassVar[str]
    call: ClassVar[str]
    answer: ClassVar[str]
    id_key: ClassVar[str]

    @abstractmethod
    def properties(self, context: Context, described: Described) -> Properties | None:
        """Return inputs and outputs of one described resource, without tags; None when it counts as deleted."""

    def describe(self, context: Context, **query: Any) -> Iterator[Described]:
        """Yield all resources that match ``query``."""
        for page in context.client("ec2").get_paginator(self.call).paginate(**query):
            yield from page[self.answer]

    def find(self, context: Context, inputs: Properties) -> str | None:
        owned = context.find_own(self.token, inputs)
        alike = (each for each in owned if self._could_become(context, each, inputs))
        return owned[0] if len(owned) == 1 else next(alike, owned[0] if owned else None)

    def _could_become(self, context: Context, identity: str, inputs: Properties) -> bool:
        """Whether it differs from ``inputs`` only in fields that can change in place.

        During a replacement two resources have the tag, and only the new one may be adopted.
        """
        live = self.read(context, identity)
        return live is not None and all(
            same(live.get(name), inputs.get(name), of)
            for name, of in self.fields.items()
            if of.replaces and not of.opaque and not (of.computed and inputs.get(name) is None)
        )

    def read(self, context: Context, identity: str) -> Properties | None:
        found = unless_gone(lambda: next(self.describe(context, **{f"{self.id_key}s": [identity]}), None))
        live = None if found is None else self.properties(context, found)
        return None if found is None or live is None else {**live, "tags": tags_of(found)}

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        context.client("ec2").create_tags(Resources=[identity], Tags=to_list(tags))

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        context.client("ec2").delete_tags(Resources=[identity], Tags=[{"Key": name} for name in names])

    def tag_specifications(self, context: Context, inputs: Properties) -> list[dict[str, Any]]:
        """Return the argument with the tags for the creating call."""
        return [{"ResourceType": self.kind, "Tags": to_list(context.tags(inputs))}]

    def arn(self, context: Context, identity: str) -> str:
        """Return its ARN (Service Authorization Reference, "Resource types defined by Amazon EC2")."""
        return f"arn:aws:ec2:{context.region}:{context.account}:{self.kind}/{identity}"


def tags_of(described: Described) -> dict[str, str]:
    """Return its tags as a map."""
    return from_list(described.get("Tags", []))


_ATTRIBUTES = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


class VpcHandler(Ec2Handler):
    """A VPC. A new CIDR block or tenancy replaces it; DNS attributes change in place."""

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
        for name, attribute in _ATTRIBUTES.items():  # EC2 accepts one in each call, DNS support first
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


class SubnetHandler(Ec2Handler):
    """A subnet. A new place or CIDR block replaces it; settings of its interfaces change in place."""

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


class RouteTableHandler(Ec2Handler):
    """A route table with the local route. Other routes are resources of their own."""

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
    """The route table of a subnet. Another table is set in place.

    Its id here is the subnet's: a subnet has one association, which gets a new id with each table, but ids in the
    engine cannot change.
    """

    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    fields = {"subnetId": Field(required=True, replaces=True), "routeTableId": Field(required=True)}

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
    """Return the subnet. The id of an import also has the table, as in the ordinary plugin."""
    return identity.partition("/")[0]


def _used_by(ec2: Any, subnet: str) -> Described | None:
    """Return the association of ``subnet``; None when it uses the main table."""
    tables = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    for table in tables["RouteTables"]:
        for association in table["Associations"]:
            if association.get("SubnetId") == subnet:
                return dict(association)
    return None


_GONE = ("deleted", "deleting")  # EC2 still describes an endpoint for a while
_MEMBERS = {
    "routeTableIds": "RouteTableIds",
    "subnetIds": "SubnetIds",
    "securityGroupIds": "SecurityGroupIds",
}


class VpcEndpointHandler(Ec2Handler):
    """A VPC endpoint. A new service or VPC replaces it; route tables, subnets and groups change in place.

    EC2 also returns the policy, the groups and private DNS. The emulator does not store these, so they are not read.
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
    """Return the prefix list of a gateway's service, for rules of security groups."""
    if described["VpcEndpointType"] != "Gateway":
        return ""
    named = [{"Name": "prefix-list-name", "Values": [described["ServiceName"]]}]
    listed = context.client("ec2").describe_prefix_lists(Filters=named)["PrefixLists"]
    return str(listed[0]["PrefixListId"]) if listed else ""


_SOURCES = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
_PREFIXES = {"vpc-": "vpcId", "subnet-": "subnetId", "eni-": "eniId"}
_INTERVALS = (60, 600)  # EC2 API Reference, CreateFlowLogs, MaxAggregationInterval


class FlowLogHandler(Ec2Handler):
    """A flow log. Only its tags can change in place.

    EC2 also returns role, format and interval. The emulator does not store these, so they are not read.
    """

    token = "aws:ec2/flowLog:FlowLog"
    kind, call, answer, id_key = "vpc-flow-log", "describe_flow_logs", "FlowLogs", "FlowLogId"
    fields = {
        **{name: Field(replaces=True) for name in _SOURCES},
        "trafficType": Field(replaces=True, allowed=("ACCEPT", "REJECT", "ALL")),
        "logDestination": Field(required=True, replaces=True),
        "logDestinationType": Field(
            default="cloud-watch-logs", replaces=True, allowed=("cloud-watch-logs", "s3")
        ),
        "iamRoleArn": Field(replaces=True, opaque=True),
        "logFormat": Field(replaces=True, computed=True, opaque=True),
        "maxAggregationInterval": Field(FieldType.INTEGER, default=600, replaces=True, opaque=True),
    }
    outputs = ("arn",)

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        if sum(inputs.get(name) is not None for name in _SOURCES) != 1:
            yield InvalidInput("vpcId", f"exactly one of {', '.join(_SOURCES)} must be given")
        if inputs["maxAggregationInterval"] not in _INTERVALS:
            yield InvalidInput("maxAggregationInterval", "must be 60 or 600")

    def create(self, context: Context, inputs: Properties) -> str:
        source = next(name for name in _SOURCES if inputs.get(name))
        made = context.client("ec2").create_flow_logs(
            ResourceIds=[inputs[source]],
            ResourceType=_SOURCES[source],
            LogDestination=inputs["logDestination"],
            LogDestinationType=inputs["logDestinationType"],
            MaxAggregationInterval=inputs["maxAggregationInterval"],
            TagSpecifications=self.tag_specifications(context, inputs),
            **given(
                {
                    "TrafficType": inputs.get("trafficType"),
                    "DeliverLogsPermissionArn": inputs.get("iamRoleArn"),
                    "LogFormat": inputs.get("logFormat"),
                }
            ),
        )
        return str(made["FlowLogIds"][0])

    def properties(self, context: Context, described: Described) -> Properties | None:
        source = described["ResourceId"]
        name = next(name for prefix, name in _PREFIXES.items() if source.startswith(prefix))
        return {
            "arn": self.arn(context, described["FlowLogId"]),
            name: source,
            "trafficType": described.get("TrafficType"),
            "logDestination": described.get("LogDestination"),
            "logDestinationType": described.get("LogDestinationType"),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("ec2").delete_flow_logs(FlowLogIds=[identity])


HANDLERS: tuple[Handler, ...] = (
    VpcHandler(),
    SubnetHandler(),
    RouteTableHandler(),
    RouteTableAssociationHandler(),
    VpcEndpointHandler(),
    FlowLogHandler(),
)
