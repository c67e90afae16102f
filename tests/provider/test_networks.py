"""What the contract cannot say about VPCs, their groups and their routes."""

from __future__ import annotations

from pathlib import Path

import pytest
from provider_cases.ec2 import subnet, table, vpc
from provider_lab import Lab, RefusedError, opened

from regionshift.local.emulator import LocalCloud

pytestmark = pytest.mark.provider

_GROUP = "aws:ec2/securityGroup:SecurityGroup"
_EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
_ANYWHERE = {"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}


def _egress(lab: Lab, group: str) -> list[str]:
    described = lab.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    return [it["CidrIp"] for rule in described["IpPermissionsEgress"] for it in rule["IpRanges"]]


def test_a_group_starts_without_a_way_out(lab: Lab) -> None:
    made = lab.create(_GROUP, {"vpcId": vpc(lab)})
    assert _egress(lab, made.identity) == []


def test_a_way_out_that_is_a_resource_survives_a_change_of_its_group(lab: Lab) -> None:
    inputs = {"vpcId": vpc(lab)}
    group = lab.create(_GROUP, inputs)
    lab.create(_EGRESS, {**_ANYWHERE, "securityGroupId": group.identity}, "out")
    lab.update(group, {**inputs, "tags": {"Owner": "me"}})
    assert _egress(lab, group.identity) == ["0.0.0.0/0"]


def test_a_default_group_is_closed_and_stays_when_it_is_given_up(lab: Lab) -> None:
    made = lab.create("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {"vpcId": vpc(lab)})
    assert _egress(lab, made.identity) == []
    lab.delete(made)
    assert _egress(lab, made.identity) == []


def test_a_replacement_is_made_beside_what_it_replaces(lab: Lab, cloud: LocalCloud, tmp_path: Path) -> None:
    token = "aws:ec2/vpc:Vpc"
    old = lab.create(token, {"cidrBlock": "10.20.0.0/16"})
    assert "cidrBlock" in lab.plan(old, {"cidrBlock": "10.30.0.0/16"}).replaces
    new = lab.create(token, {"cidrBlock": "10.30.0.0/16"})
    assert new.identity != old.identity
    with opened(cloud, lab.region, tmp_path) as after:
        after.unique = lab.unique
        found = after.create(token, {"cidrBlock": "10.30.0.0/16"})
    assert found.identity == new.identity
    assert lab.refresh(old) is not None


def test_a_subnet_has_one_route_table_whoever_asks(lab: Lab) -> None:
    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    inputs = {"subnetId": subnet(lab), "routeTableId": table(lab)}
    made = lab.create(token, inputs)
    lab.create(token, inputs)
    lab.update(made, {**inputs, "routeTableId": table(lab, "next")})
    filters = [{"Name": "association.subnet-id", "Values": [inputs["subnetId"]]}]
    tables = lab.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]
    used = [it for one in tables for it in one["Associations"] if it.get("SubnetId") == inputs["subnetId"]]
    assert len(used) == 1


def test_a_subnet_of_the_same_range_waits_for_the_old_one_to_go(lab: Lab) -> None:
    inputs = {"vpcId": vpc(lab), "cidrBlock": "10.20.1.0/24", "availabilityZone": "eu-central-1a"}
    made = lab.create("aws:ec2/subnet:Subnet", inputs)
    planned = lab.plan(made, {**inputs, "availabilityZone": "eu-central-1b"})
    assert planned.replaces == {"availabilityZone"}
    assert planned.delete_first


def test_a_gateway_tells_the_prefix_list_of_its_service(lab: Lab) -> None:
    inputs = {"vpcId": vpc(lab), "serviceName": f"com.amazonaws.{lab.region}.s3"}
    made = lab.create("aws:ec2/vpcEndpoint:VpcEndpoint", inputs)
    assert made.properties["prefixListId"].startswith("pl-")


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        (_EGRESS, {"securityGroupId": "sg-1", "ipProtocol": "tcp"}),
        (_EGRESS, {**_ANYWHERE, "securityGroupId": "sg-1", "prefixListId": "pl-1"}),
        ("aws:ec2/flowLog:FlowLog", {"logDestination": "arn:aws:logs:::g"}),
        ("aws:ec2/flowLog:FlowLog", {"vpcId": "v", "logDestination": "g", "maxAggregationInterval": 61}),
    ],
)
def test_what_ec2_would_refuse_is_refused_first(lab: Lab, token: str, inputs: dict[str, object]) -> None:
    with pytest.raises(RefusedError):
        lab.check(lab.urn(token, "wrong"), inputs)
