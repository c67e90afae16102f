"""Flow logs of a VPC, a subnet or an interface."""

from __future__ import annotations

from collections.abc import Iterator

from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context
from regionshift.local.provider.handlers.ec2.described import Described, Ec2Handler, given
from regionshift.local.provider.wire import Properties

_SOURCES = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
_PREFIXES = {"vpc-": "vpcId", "subnet-": "subnetId", "eni-": "eniId"}
_INTERVALS = (60, 600)  # EC2 API Reference, CreateFlowLogs, MaxAggregationInterval


class FlowLogHandler(Ec2Handler):
    """Nothing of it can be changed but its tags.

    EC2 tells role, format and interval too; the emulator does not keep them, so they are not read.
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

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        # The emulator looks for these tags under 'flow-log'; EC2 calls the kind 'vpc-flow-log'.
        self.tag(context, identity, context.tags(inputs))

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
