"""The check of the region's network: address range, subnets, closed default security group."""

from __future__ import annotations

from regionshift.operations.checks.base import Check, CheckContext, Wrong, expect


class NetworkCheck(Check):
    """The VPC and its subnets have the ranges of the settings. The default security group is closed."""

    name = "network"

    def ask(self, context: CheckContext, region: str) -> str:
        ec2 = context.clients.get("ec2", region)
        vpc = context.outputs.get("vpc_id", region)
        wanted = context.config.networks[region]
        found = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
        expect(f"block of {vpc}", found["CidrBlock"], wanted.vpc_cidr)
        own = [{"Name": "vpc-id", "Values": [vpc]}]
        subnets = ec2.describe_subnets(Filters=own)["Subnets"]  # type: ignore[arg-type]
        expect(
            f"subnets of {vpc}",
            sorted(subnet["CidrBlock"] for subnet in subnets),
            sorted(wanted.subnet_cidrs),
        )
        if public := [subnet["SubnetId"] for subnet in subnets if subnet.get("MapPublicIpOnLaunch")]:
            raise Wrong(f"not private: {', '.join(public)}")
        groups = ec2.describe_security_groups(Filters=own)["SecurityGroups"]  # type: ignore[arg-type]
        for group in groups:
            if group["GroupName"] == "default" and (
                group.get("IpPermissions") or group.get("IpPermissionsEgress")
            ):
                raise Wrong(f"the default security group {group['GroupId']} lets traffic through")
        return f"{vpc}: {wanted.vpc_cidr}, {len(subnets)} private subnets"
