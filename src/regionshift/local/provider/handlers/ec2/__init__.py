"""EC2's networks: VPCs and what stands in them."""

from __future__ import annotations

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers.ec2.flow_log import FlowLogHandler
from regionshift.local.provider.handlers.ec2.routes import RouteTableAssociationHandler, RouteTableHandler
from regionshift.local.provider.handlers.ec2.security_group import (
    DefaultSecurityGroupHandler,
    SecurityGroupHandler,
)
from regionshift.local.provider.handlers.ec2.security_group_rule import EgressRuleHandler, IngressRuleHandler
from regionshift.local.provider.handlers.ec2.subnet import SubnetHandler
from regionshift.local.provider.handlers.ec2.vpc import VpcHandler
from regionshift.local.provider.handlers.ec2.vpc_endpoint import VpcEndpointHandler

HANDLERS: tuple[Handler, ...] = (
    VpcHandler(),
    SubnetHandler(),
    RouteTableHandler(),
    RouteTableAssociationHandler(),
    VpcEndpointHandler(),
    SecurityGroupHandler(),
    DefaultSecurityGroupHandler(),
    IngressRuleHandler(),
    EgressRuleHandler(),
    FlowLogHandler(),
)
