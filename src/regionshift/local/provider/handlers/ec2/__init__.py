"""EC2's networks: VPCs and what stands in them."""

from __future__ import annotations

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers.ec2.flow_log import FlowLog
from regionshift.local.provider.handlers.ec2.routes import RouteTable, RouteTableAssociation
from regionshift.local.provider.handlers.ec2.security_group import DefaultSecurityGroup, SecurityGroup
from regionshift.local.provider.handlers.ec2.security_group_rule import EgressRule, IngressRule
from regionshift.local.provider.handlers.ec2.subnet import Subnet
from regionshift.local.provider.handlers.ec2.vpc import Vpc
from regionshift.local.provider.handlers.ec2.vpc_endpoint import VpcEndpoint

HANDLERS: tuple[Handler, ...] = (
    Vpc(),
    Subnet(),
    RouteTable(),
    RouteTableAssociation(),
    VpcEndpoint(),
    SecurityGroup(),
    DefaultSecurityGroup(),
    IngressRule(),
    EgressRule(),
    FlowLog(),
)
