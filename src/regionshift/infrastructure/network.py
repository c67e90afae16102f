"""The region's network: a VPC of private subnets, closed by default, with access to S3 and flow logs."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.policies.services import flow_log_statements
from regionshift.infrastructure.policies.statement import arn_by_name, policy, trust
from regionshift.infrastructure.site import RegionComponent, Site, bounded_role
from regionshift.settings import components as named
from regionshift.settings.regions import endpoint_service

ENDPOINT_SERVICES = ("kms", "logs", "monitoring", "secretsmanager", "sns", "ssm", "states")
"""The services that a function in the VPC calls; it has no other access to them.

``monitoring`` takes the count of actions, without which their alarms would stay silent. ``kms`` tells whether the key
is rotated. ``states`` starts and describes migrations (Step Functions Developer Guide, "Using VPC endpoints").
"""
HTTPS = 443


class NetworkStack(RegionComponent):
    """A VPC with one private subnet a zone, and, with the function inside, endpoints and security groups.

    Lambda's network interfaces stay in the subnets and the security group for up to 45 minutes after the function is
    deleted. Lambda removes them with the function's own role (Terraform Registry, aws_security_group, "Timeouts";
    Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC"). The provider waits that
    long for each of them, whatever its timeout for deletion is.

    Args:
        outlasts: the rights that this needs. They are created before, and deleted after, the resources that the
            interfaces block.
    """

    def __init__(
        self,
        site: Site,
        key: aws.kms.Key,
        opts: pulumi.ResourceOptions,
        *,
        outlasts: list[pulumi.Resource],
    ) -> None:
        super().__init__(site, "Network", opts)
        self._outlasts = outlasts
        self.vpc = aws.ec2.Vpc(
            site.label("vpc"),
            cidr_block=site.network.vpc_cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=site.tags("vpc", "network of the region"),
            opts=self.child(),
        )
        aws.ec2.DefaultSecurityGroup(
            site.label("default-security-group"),
            vpc_id=self.vpc.id,
            ingress=[],
            egress=[],
            tags=site.tags("default-security-group", "closed: admits nothing"),
            opts=self.child(),
        )
        self.route_table = aws.ec2.RouteTable(
            site.label("private-routes"),
            vpc_id=self.vpc.id,
            tags=site.tags("private-routes", "routes of the private subnets"),
            opts=self.child(),
        )
        self.subnets = [
            self._subnet(zone, cidr) for zone, cidr in zip(site.zones, site.network.subnet_cidrs, strict=True)
        ]
        self.s3_endpoint = aws.ec2.VpcEndpoint(
            site.label("s3-endpoint"),
            vpc_id=self.vpc.id,
            service_name=endpoint_service("s3", site.region),
            vpc_endpoint_type="Gateway",
            route_table_ids=[self.route_table.id],
            tags=site.tags("s3-endpoint", "way to S3 without the internet"),
            opts=self.child(),
        )
        self.function_security_group = self._inside() if site.config.network.function_in_vpc else None
        if site.config.network.flow_logs:
            self._flow_logs(key)
        self.register_outputs({"vpc_id": self.vpc.id})

    def _subnet(self, zone: str, cidr: str) -> aws.ec2.Subnet:
        thing = f"private-subnet-{zone.removeprefix(self.site.region)}"
        subnet = aws.ec2.Subnet(
            self.site.label(thing),
            vpc_id=self.vpc.id,
            availability_zone=zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,
            tags=self.site.tags(thing, "private subnet"),
            opts=self.child(depends_on=self._outlasts),
        )
        aws.ec2.RouteTableAssociation(
            self.site.label(f"{thing}-routes"),
            subnet_id=subnet.id,
            route_table_id=self.route_table.id,
            opts=self.child(),
        )
        return subnet

    def _inside(self) -> aws.ec2.SecurityGroup:
        """Create what a function in the VPC needs: HTTPS to the endpoints and to S3, and nothing else."""
        function = self._security_group(
            "function-security-group", named.FUNCTION_SECURITY_GROUP, "what the function may reach"
        )
        endpoints = self._security_group(
            "endpoints-security-group", named.ENDPOINTS_SECURITY_GROUP, "who may reach the endpoints"
        )
        self._egress("function-to-endpoints", function, referenced_security_group_id=endpoints.id)
        self._egress("function-to-s3", function, prefix_list_id=self.s3_endpoint.prefix_list_id)
        aws.vpc.SecurityGroupIngressRule(
            self.site.label("endpoints-from-function"),
            security_group_id=endpoints.id,
            referenced_security_group_id=function.id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            tags=self.site.tags("endpoints-from-function", "HTTPS from the function"),
            opts=self.child(),
        )
        for service in ENDPOINT_SERVICES:
            self._interface_endpoint(service, endpoints)
        return function

    def _security_group(self, thing: str, component: named.Component, purpose: str) -> aws.ec2.SecurityGroup:
        return aws.ec2.SecurityGroup(
            self.site.label(thing),
            name=self.site.name(component),
            description=purpose,
            vpc_id=self.vpc.id,
            tags=self.site.tags(thing, purpose),
            opts=self.child(depends_on=self._outlasts),
        )

    def _egress(
        self,
        thing: str,
        group: aws.ec2.SecurityGroup,
        *,
        referenced_security_group_id: pulumi.Input[str] | None = None,
        prefix_list_id: pulumi.Input[str] | None = None,
    ) -> None:
        aws.vpc.SecurityGroupEgressRule(
            self.site.label(thing),
            security_group_id=group.id,
            referenced_security_group_id=referenced_security_group_id,
            prefix_list_id=prefix_list_id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            tags=self.site.tags(thing, "HTTPS of the function"),
            opts=self.child(),
        )

    def _interface_endpoint(self, service: str, group: aws.ec2.SecurityGroup) -> None:
        thing = f"{service}-endpoint"
        aws.ec2.VpcEndpoint(
            self.site.label(thing),
            vpc_id=self.vpc.id,
            service_name=endpoint_service(service, self.site.region),
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=[subnet.id for subnet in self.subnets],
            security_group_ids=[group.id],
            tags=self.site.tags(thing, f"way to {service} without the internet"),
            opts=self.child(),
        )

    def _flow_logs(self, key: aws.kms.Key) -> None:
        site = self.site
        name = site.name(named.FLOW_LOG_GROUP)
        group = self._log_group(key, "flow-log-group", name, "flow logs of the VPC")
        writer = bounded_role(
            site,
            "flow-logs",
            named.FLOW_LOGS_ROLE,
            "writes the flow logs",
            # Only for this account's flow logs (VPC User Guide, "IAM role for publishing flow logs").
            trust("vpc-flow-logs", site.config.account, [site.arn("ec2", "vpc-flow-log/*")]),
            self.child(),
        )
        rights = aws.iam.RolePolicy(
            site.label("flow-logs-policy"),
            name=site.name(named.FLOW_LOGS_POLICY),
            role=writer.name,
            policy=policy(
                flow_log_statements, log_group=group.arn, every_group=site.arn("logs", "log-group:*")
            ),
            opts=self.child(),
        )
        aws.ec2.FlowLog(
            site.label("flow-log"),
            vpc_id=self.vpc.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=arn_by_name(writer.arn, site.role(named.FLOW_LOGS_ROLE)),
            tags=site.tags("flow-log", "who talked to whom in the VPC"),
            opts=self.child(depends_on=[rights]),
        )
