"""EC2 cases."""

from __future__ import annotations

import json

from provider_lab import Case, Lab, Made

from regionshift.local.provider.wire import Properties

_LOGS = "arn:aws:logs:eu-central-1:123456789012:log-group:flows"
_ROLE = "arn:aws:iam::123456789012:role/flows"
_POLICY = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}


def endpoint_policy(action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{**_POLICY, "Action": action}]})


def vpc(lab: Lab) -> str:
    return lab.create("aws:ec2/vpc:Vpc", {"cidrBlock": "10.20.0.0/16"}, "vpc").identity


def subnet(lab: Lab, number: int = 1) -> str:
    inputs = {"vpcId": vpc(lab), "cidrBlock": f"10.20.{number}.0/24", "availabilityZone": "eu-central-1a"}
    return lab.create("aws:ec2/subnet:Subnet", inputs, f"subnet{number}").identity


def table(lab: Lab, name: str = "table") -> str:
    return lab.create("aws:ec2/routeTable:RouteTable", {"vpcId": vpc(lab)}, name).identity


def group(lab: Lab, name: str = "group") -> str:
    return lab.create("aws:ec2/securityGroup:SecurityGroup", {"vpcId": vpc(lab)}, name).identity


def retag(lab: Lab, made: Made) -> None:
    lab.client("ec2").create_tags(Resources=[made.identity], Tags=[{"Key": "Owner", "Value": "else"}])


def _vpc(lab: Lab) -> Properties:  # noqa: ARG001
    return {"cidrBlock": "10.20.0.0/16", "enableDnsHostnames": True, "tags": {"Purpose": "network"}}


def _no_hostnames(lab: Lab, made: Made) -> None:
    lab.client("ec2").modify_vpc_attribute(VpcId=made.identity, EnableDnsHostnames={"Value": False})
    retag(lab, made)


def _subnet(lab: Lab) -> Properties:
    zone = {"availabilityZone": "eu-central-1a"}
    return {"vpcId": vpc(lab), "cidrBlock": "10.20.9.0/24", **zone, "tags": {"Purpose": "private"}}


def _public(lab: Lab, made: Made) -> None:
    lab.client("ec2").modify_subnet_attribute(SubnetId=made.identity, MapPublicIpOnLaunch={"Value": True})


def _table(lab: Lab) -> Properties:
    return {"vpcId": vpc(lab), "tags": {"Purpose": "routes"}}


def _association(lab: Lab) -> Properties:
    return {"subnetId": subnet(lab), "routeTableId": table(lab)}


def _other_table(lab: Lab, made: Made) -> None:
    ec2 = lab.client("ec2")
    tables = ec2.describe_route_tables(
        Filters=[{"Name": "association.subnet-id", "Values": [made.identity]}]
    )["RouteTables"]
    association = next(it for it in tables[0]["Associations"] if it["SubnetId"] == made.identity)
    ec2.replace_route_table_association(
        AssociationId=association["RouteTableAssociationId"], RouteTableId=table(lab, "other")
    )


def _gateway(lab: Lab) -> Properties:
    return {
        "vpcId": vpc(lab),
        "serviceName": "com.amazonaws.eu-central-1.s3",
        "vpcEndpointType": "Gateway",
        "routeTableIds": [table(lab)],
        "policy": endpoint_policy("s3:GetObject"),
        "tags": {"Purpose": "files"},
    }


def _unrouted(lab: Lab, made: Made) -> None:
    lab.client("ec2").modify_vpc_endpoint(
        VpcEndpointId=made.identity, RemoveRouteTableIds=made.properties["routeTableIds"]
    )


def _interface(lab: Lab) -> Properties:
    return {
        "vpcId": vpc(lab),
        "serviceName": "com.amazonaws.eu-central-1.ssm",
        "vpcEndpointType": "Interface",
        "privateDnsEnabled": True,
        "subnetIds": [subnet(lab, 1), subnet(lab, 2)],
        "securityGroupIds": [group(lab)],
    }


def _out_of_a_subnet(lab: Lab, made: Made) -> None:
    lab.client("ec2").modify_vpc_endpoint(
        VpcEndpointId=made.identity, RemoveSubnetIds=made.properties["subnetIds"][:1]
    )


def _group(lab: Lab) -> Properties:
    return {"vpcId": vpc(lab), "name": lab.unique, "description": "who may come in", "tags": {"A": "b"}}


_HTTPS = {"protocol": "tcp", "fromPort": 443, "toPort": 443}


def _group_with_rules(lab: Lab) -> Properties:
    rules = {
        "ingress": [{**_HTTPS, "cidrBlocks": ["10.0.0.0/8", "192.168.0.0/16"]}],
        "egress": [{"protocol": "-1", "self": True}],
    }
    return {"vpcId": vpc(lab), "name": f"{lab.unique}-rules", **rules}


def _open_to_all(lab: Lab, made: Made) -> None:
    everyone = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    lab.client("ec2").authorize_security_group_ingress(GroupId=made.identity, IpPermissions=[everyone])


def _default_group(lab: Lab) -> Properties:
    return {"vpcId": vpc(lab), "ingress": [], "egress": [], "tags": {"Purpose": "closed"}}


def _rule(lab: Lab) -> Properties:
    port = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    return {"securityGroupId": group(lab), "cidrIpv4": "10.0.0.0/8", **port, "tags": {"Purpose": "https"}}


def _rule_to_group(lab: Lab) -> Properties:
    return {"securityGroupId": group(lab), "referencedSecurityGroupId": group(lab, "b"), "ipProtocol": "-1"}


def _rule_to_list(lab: Lab) -> Properties:
    listed = lab.client("ec2").describe_prefix_lists()["PrefixLists"][0]["PrefixListId"]
    port = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    return {"securityGroupId": group(lab), "prefixListId": listed, **port}


def _wider(lab: Lab, made: Made) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": "0.0.0.0/0"}
    lab.client("ec2").modify_security_group_rules(
        GroupId=made.properties["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": made.identity, "SecurityGroupRule": rule}],
    )


def _flow_log(lab: Lab) -> Properties:
    return {
        "vpcId": vpc(lab),
        "trafficType": "ALL",
        "logDestination": _LOGS,
        "logDestinationType": "cloud-watch-logs",
        "iamRoleArn": _ROLE,
        "maxAggregationInterval": 60,
        "tags": {"Purpose": "flows"},
    }


_RULE = "aws:vpc/securityGroup{0}Rule:SecurityGroup{0}Rule"

CASES = (
    Case(
        "aws:ec2/vpc:Vpc",
        _vpc,
        changes={
            "enableDnsHostnames": None,
            "enableDnsSupport": False,
            "tags": {"Owner": "me"},
        },
        replaces={"cidrBlock": "10.30.0.0/16", "instanceTenancy": "dedicated"},
        meddle=_no_hostnames,
        drifts=frozenset({"enableDnsHostnames", "tags"}),
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        _subnet,
        changes={"mapPublicIpOnLaunch": True, "tags": {"Owner": "me"}},
        replaces={"cidrBlock": "10.20.8.0/24", "availabilityZone": "eu-central-1b", "vpcId": "vpc-1"},
        meddle=_public,
        drifts=frozenset({"mapPublicIpOnLaunch"}),
    ),
    Case(
        "aws:ec2/routeTable:RouteTable",
        _table,
        changes={"tags": {"Owner": "me"}},
        replaces={"vpcId": "vpc-1"},
        meddle=retag,
        drifts=frozenset({"tags"}),
    ),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        _association,
        changes={"routeTableId": lambda lab: table(lab, "next")},
        replaces={"subnetId": "subnet-1"},
        meddle=_other_table,
        drifts=frozenset({"routeTableId"}),
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        _gateway,
        changes={
            "routeTableIds": lambda lab: [table(lab), table(lab, "next")],
            "policy": endpoint_policy("s3:PutObject"),
            "tags": {"Owner": "me"},
        },
        replaces={"serviceName": "com.amazonaws.eu-central-1.dynamodb", "vpcEndpointType": "Interface"},
        meddle=_unrouted,
        drifts=frozenset({"routeTableIds"}),
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        _interface,
        changes={
            "subnetIds": lambda lab: [subnet(lab, 2)],
            "securityGroupIds": lambda lab: [group(lab, "next")],
            "privateDnsEnabled": False,
        },
        meddle=_out_of_a_subnet,
        drifts=frozenset({"subnetIds"}),
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        _group,
        changes={"tags": {"Owner": "me"}},
        replaces={"description": "other", "name": "other", "vpcId": "vpc-1"},
        meddle=retag,
        drifts=frozenset({"tags"}),
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        _group_with_rules,
        changes={
            "ingress": [{**_HTTPS, "cidrBlocks": ["10.0.0.0/8"], "description": "inside"}],
            "egress": [],
        },
        meddle=_open_to_all,
        drifts=frozenset({"ingress"}),
    ),
    Case(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        _default_group,
        changes={"egress": [{**_HTTPS, "cidrBlocks": ["10.0.0.0/8"]}], "tags": {"Owner": "me"}},
        replaces={"vpcId": "vpc-1"},
        meddle=_open_to_all,
        drifts=frozenset({"ingress"}),
        outlives="a default group goes with its VPC, not before",
    ),
    Case(
        _RULE.format("Ingress"),
        _rule,
        changes={
            "cidrIpv4": "10.1.0.0/16",
            "toPort": 444,
            "description": "inside",
            "tags": {"Owner": "me"},
        },
        replaces={"securityGroupId": "sg-1"},
        meddle=_wider,
        drifts=frozenset({"cidrIpv4"}),
    ),
    Case(
        _RULE.format("Egress"),
        _rule,
        changes={"fromPort": 80, "ipProtocol": "udp"},
        meddle=_wider,
        drifts=frozenset({"cidrIpv4"}),
    ),
    Case(_RULE.format("Egress"), _rule_to_group, changes={"description": "all"}),
    Case(_RULE.format("Egress"), _rule_to_list, changes={"description": "files"}),
    Case(
        "aws:ec2/flowLog:FlowLog",
        _flow_log,
        changes={"tags": {"Owner": "me"}},
        replaces={
            "trafficType": "REJECT",
            "logDestination": f"{_LOGS}2",
            "maxAggregationInterval": 600,
            "iamRoleArn": f"{_ROLE}2",
        },
        meddle=retag,
        drifts=frozenset({"tags"}),
    ),
)
