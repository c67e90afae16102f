"""Regions on the embedded AWS that the real engine changes, and what AWS itself says of them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from broken_artifact import broken_artifact

from regionshift import artifact
from regionshift.aws.clients import Clients
from regionshift.engine.cli import find_pulumi
from regionshift.local.emulator import LocalCloud
from regionshift.operations.leftovers import look_for_leftovers
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import Artifact, Release

PRIMARY, CANARY, OTHER = "us-east-1", "eu-west-1", "us-west-2"
WAVES = (CANARY, OTHER, PRIMARY)
OLD, NEW = 0, 1


@dataclass
class World:
    """What outlives a run of the command: the cloud, the state, and what the settings say now."""

    project: str
    folder: Path
    cloud: LocalCloud
    clients: Clients
    waves: tuple[str, ...] = WAVES
    """A region for each wave, the primary last."""
    wanted: int = OLD
    deployment: dict[str, object] = field(default_factory=dict)
    code: Path | None = None
    """The function's zip that is brought in place of the real one."""
    census_of_old: dict[str, Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        places = [Path(sys.prefix) / "bin", Path(__file__).parents[3] / ".cache" / "bin"]
        self.command, self.version = find_pulumi(os.environ, places)
        (self.folder / "engine").mkdir()

    def want(self, number: int, code: Path | None = None, **deployment: object) -> None:
        """Write the settings anew; nothing is changed by it."""
        self.wanted, self.code, self.deployment = number, code, deployment

    @property
    def wanted_release(self) -> Release:
        """What the settings describe."""
        release = self.release(self.wanted, **self.deployment)
        if self.code is None:
            return release
        code = Artifact(self.code, hashlib.sha256(self.code.read_bytes()).hexdigest())
        return Release(**{**vars(release), "artifact": code})

    def release(self, number: int, **deployment: object) -> Release:
        """The good release of this number."""
        return Release(
            config=_config(self, number, deployment),
            artifact=artifact.build(self.folder / "artifact"),
            zones={region: (f"{region}a",) for region in self.waves},
            secrets={},
            secrets_digest="",
            tool_version="1",
            plugin_version="7",
        )

    def broken(self, handler: str, region: str) -> Path:
        """A zip whose function runs ``handler`` in ``region``, and the real one elsewhere."""
        folder = self.folder / hashlib.sha256((handler + region).encode()).hexdigest()[:8]
        folder.mkdir(exist_ok=True)
        return broken_artifact(folder, _only_in(handler, region))

    def set_alarm(self, region: str, value: str) -> None:
        """Turn an alarm that nothing here turns by itself."""
        name = named.THROTTLES_ALARM.name(self.release(OLD).config.names, region)
        self.clients.get("cloudwatch", region).set_alarm_state(
            AlarmName=name, StateValue=cast(Any, value), StateReason="a test"
        )

    def runs(self, region: str) -> dict[str, object]:
        """What the region runs, by AWS: everything in which the releases differ there."""
        names = self.release(OLD).config.names
        function = self.clients.get("lambda", region).get_function_configuration(
            FunctionName=named.FUNCTION.name(names, region)
        )
        parameter = self.clients.get("ssm", region).get_parameter(
            Name=named.DEPLOYMENT_CONFIG_PARAMETER.name(names, region), WithDecryption=True
        )["Parameter"]["Value"]
        return {
            "code": base64.b64decode(function["CodeSha256"]).hex(),
            "memory": function["MemorySize"],
            "number": json.loads(parameter)["config"]["number"],
            "flow logs": self._flow_logs(region),
            "subscriptions": self._subscriptions(region),
        }

    def links_run(self) -> list[float]:
        """The replication delay in seconds, by the alarm in each secondary, in which the links' releases differ."""
        names = self.release(OLD).config.names
        return [
            alarm["Threshold"]
            for region in self.waves[:-1]
            for alarm in self.clients.get("cloudwatch", region).describe_alarms(
                AlarmNames=[named.REPLICATION_LATENCY_ALARM.name(names, region)]
            )["MetricAlarms"]
        ]

    def _flow_logs(self, region: str) -> int:
        found = self.clients.get("ec2", region).describe_flow_logs()["FlowLogs"]
        return sum({"Key": "Project", "Value": self.project} in flow.get("Tags", []) for flow in found)

    def _subscriptions(self, region: str) -> int:
        pages = self.clients.get("sns", region).get_paginator("list_subscriptions").paginate()
        topics = [each["TopicArn"] for page in pages for each in page["Subscriptions"]]
        return sum(f":{self.project}-" in topic for topic in topics)

    def census(self, region: str) -> Counter[str]:
        """How many things of each kind and name the region has, by tags and by names."""
        found = look_for_leftovers(self.clients, self.release(NEW).config, [region])
        return Counter(_kind(left.what) for left in found if left.until is None)

    def expected_census(self, number: int, region: str) -> Counter[str]:
        """The same, when the region is whole and nothing is there twice or for nothing."""
        names = self.release(number).config.names
        group, role = (each.name(names, region) for each in (named.FLOW_LOG_GROUP, named.FLOW_LOGS_ROLE))
        more = Counter([f"log group {group}", f"role {role}"]) if number == NEW else Counter[str]()
        return self.census_of_old[region] + more


def expected(release: Release) -> dict[str, object]:
    """What `World.runs` says of a region that has this release."""
    return {
        "code": release.artifact.sha256,
        "memory": release.config.function.memory,
        "number": release.config.application.config["number"],
        "flow logs": int(release.config.network.flow_logs),
        "subscriptions": 2 * len(release.config.alerts.emails),
    }


def _config(world: World, number: int, deployment: Mapping[str, object]) -> MigrationConfig:
    """Every release makes, changes and takes away things in every region, and changes what joins them.

    The new one has flow logs and no subscription, the old one the other way round; function and configuration
    change, and an alarm of the links.
    """
    return MigrationConfig.model_validate(
        {
            "project": world.project,
            "environment": "dev",
            "account": world.cloud.account,
            "target": "local",
            "regions": {"primary": world.waves[-1], "secondaries": list(world.waves[:-1])},
            "network": {"vpc_cidr": "10.0.0.0/16", "zones": 1, "flow_logs": number == NEW},
            "application": {"config": {"number": number}},
            "function": {"memory": 512 + 64 * number},
            "alerts": {
                "emails": [] if number == NEW else ["old@example.com"],
                "replication_latency": 900 + number,
            },
            "deployment": {"waves": [[region] for region in world.waves], "bake": 0, **deployment},
        }
    )


def _kind(what: str) -> str:
    """What a thing is, without an id that AWS gave it."""
    if not what.startswith("arn:"):
        return what
    service, resource = what.split(":")[2], what.split(":", 5)[5]
    return f"{service} {resource.split('/')[0] if service in ('ec2', 'kms') else resource}"


def _only_in(handler: str, region: str) -> str:
    own = "\n".join(f"    {line}" for line in handler.strip().splitlines())
    return (
        f'import os\n\nif os.environ["REGION"] == "{region}":\n{own}\n'
        "else:\n    from regionshift.function.real_handler import handler\n"
    )
