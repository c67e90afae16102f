"""A folder with a settings file in it, and the real command run there as a person would run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from planted_values import planted_word
from regionshift.aws.clients import AccessKey, Clients
from regionshift.local import emulator
from regionshift.local.state import REQUESTS

# The one switch: with it the same tests run on that AWS account (`make test-aws`), else on the embedded AWS.
ON_AWS = os.environ.get("REGIONSHIFT_TEST_AWS_ACCOUNT", "")
ACCOUNT = ON_AWS or "123456789012"
COMMAND = str(Path(sys.executable).parent / "regionshift")
SENTINEL = planted_word("token")
# Seconds for a command, by weather: of a storm each region is down or slow for a fifth of the time.
_PATIENCE_S = {"calm": 3600.0 if ON_AWS else 300.0, "aws": 600.0, "storm": 1800.0}
_ENDING_S = 300.0
# Seconds. Longer than anything is late in any weather.
SETTLED = 15.0


@dataclass(frozen=True)
class Done:
    """How one run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def said(self) -> str:
        return self.out + self.err


@dataclass
class Place:
    """One settings file, its embedded AWS, and everything that was said so far."""

    folder: Path
    settings: dict[str, Any]
    variables: dict[str, str] = field(default_factory=lambda: {"ORDERS_TOKEN": SENTINEL})
    told: list[str] = field(default_factory=list)
    weather: str = "calm"

    @property
    def regions(self) -> list[str]:
        regions = self.settings["regions"]
        return [regions["primary"], *regions.get("secondaries", [])]

    @property
    def clients(self) -> Clients:
        """To look and to change behind its back: whom no weather hinders is the emulator's root."""
        if ON_AWS:
            return Clients()
        folder = self.folder / ".regionshift/cloud"
        cloud = emulator.status(folder) or emulator.up(folder, ACCOUNT)
        key = AccessKey(cloud.access_key, cloud.secret_key)
        if self.weather != "calm":
            key = AccessKey(ACCOUNT, "root")
        return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)

    def comes_to(self, look: Callable[[], Any], wanted: Any) -> None:
        """What is looked at is as wanted: at once, or where lists are late when everything has settled."""
        until = time.monotonic() + (0.0 if self.weather == "calm" else SETTLED)
        while (found := look()) != wanted and time.monotonic() < until:
            time.sleep(0.2)
        assert found == wanted, f"{found} is not {wanted}"

    def settled(self, regions: list[str]) -> Counter[str]:
        """How many things of each kind there are: when that has not changed for longer than the index is late."""
        found, since = census(self.clients, regions, "dev"), time.monotonic()
        while self.weather != "calm" and time.monotonic() - since < SETTLED / 3:
            time.sleep(0.2)
            if (again := census(self.clients, regions, "dev")) != found:
                found, since = again, time.monotonic()
        return found

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "regionshift.yaml").write_text(yaml.safe_dump(self.settings), encoding="utf-8")

    def begin(self, weather: str, seed: int) -> None:
        """Start its embedded AWS in that weather."""
        self.weather = weather
        emulator.up(self.folder / ".regionshift/cloud", ACCOUNT, weather=weather, seed=seed)

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """The command in a process group of its own, not waited for."""
        foreign = ("REGIONSHIFT_", "ENVIRONMENT_SUFFIX", "PULUMI_", *(() if ON_AWS else ("AWS_",)))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env={**kept, **self.variables, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Done:
        try:
            out, err = process.communicate(timeout=_PATIENCE_S[self.weather])
        except BaseException:
            # It has a session of its own: what it would go on to make, nobody takes down, and on AWS it costs money.
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=_ENDING_S)
            raise
        self.told.append(out + err)
        return Done(process.returncode, out, err)

    def run(self, *arguments: str, **more: str) -> Done:
        return self.finish(self.start(*arguments, **more))

    def start_and_wait_for(
        self, arguments: list[str], steps: int, op: str = "create"
    ) -> subprocess.Popen[str]:
        """Start the command with -v, and return when it has done so many steps of the kind ``op``."""
        process = self.start(*arguments, "-v")
        assert process.stderr is not None
        seen, said = 0, []
        for line in process.stderr:
            said.append(line)
            seen += "done" in line and op in line
            if seen >= steps:
                return process
        raise AssertionError(f"ended before {steps} steps: {''.join(said)}")

    def close(self) -> None:
        if ON_AWS:
            self.run("destroy", "--yes")  # what a test left standing costs money
        else:
            emulator.down(self.folder / ".regionshift/cloud", wipe=True)


def values_belong(path: Path) -> bool:
    """Whether a file of the embedded AWS may hold a secret: what SSM and Secrets Manager keep, keys that were given
    out, its own, and what was sent to it."""
    return path.parts[0] in (REQUESTS, "cloud.json", "tls") or path.name.startswith(
        ("ssm", "secretsmanager", "iam", "sts")
    )


def settings(**more: Any) -> dict[str, Any]:
    """Three regions, one secret of the application."""
    return {
        "project": "regionshift-e2e" if ON_AWS else "orders",
        "environment": "dev",
        "account": ACCOUNT,
        "target": "aws" if ON_AWS else "local",
        "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1", "ap-southeast-2"]},
        "network": {"vpc_cidr": "10.0.0.0/16", "zones": 1},
        "application": {"secrets": {"token": {"env": "ORDERS_TOKEN"}}},
        **more,
    }


def census(clients: Clients, regions: list[str], environment: str) -> Counter[str]:
    """How many things of each kind the environment has, in every way of looking; pending deletions left out."""
    found: Counter[str] = Counter()
    for region in regions:
        found.update(f"{region} {kind}" for kind in _kinds(clients, region, environment))
    return found


def _kinds(clients: Clients, region: str, environment: str) -> Iterator[str]:
    tag = {"Key": "Environment", "Values": [environment]}
    pages = clients.get("resourcegroupstaggingapi", region).get_paginator("get_resources")
    for each in pages.paginate(TagFilters=[tag]).search("ResourceTagMappingList[].ResourceARN"):
        service = each.split(":")[2]
        if service == "kms":
            key = clients.get("kms", region).describe_key(KeyId=each)["KeyMetadata"]
            if key["KeyState"] == "PendingDeletion":
                continue
        if service != "secretsmanager":
            yield service
    ec2 = clients.get("ec2", region)
    tagged = {"Key": "Environment", "Value": environment}
    own = [{"Name": "tag:Environment", "Values": [environment]}]
    for call, answer in (
        (ec2.describe_vpcs, "Vpcs"),
        (ec2.describe_subnets, "Subnets"),
        (ec2.describe_route_tables, "RouteTables"),
        (ec2.describe_vpc_endpoints, "VpcEndpoints"),
    ):
        # The embedded AWS ignores the filter for endpoints, so the tags are looked at here too.
        yield from (answer for each in call(Filters=own)[answer] if tagged in each.get("Tags", []))
    ends = f"-{environment}"
    named = [
        (
            "log group",
            clients.get("logs", region).get_paginator("describe_log_groups"),
            "logGroups[].logGroupName",
        ),
        (
            "alarm",
            clients.get("cloudwatch", region).get_paginator("describe_alarms"),
            "MetricAlarms[].AlarmName",
        ),
        ("role", clients.get("iam", region).get_paginator("list_roles"), "Roles[].RoleName"),
        ("alias", clients.get("kms", region).get_paginator("list_aliases"), "Aliases[].AliasName"),
        ("parameter", clients.get("ssm", region).get_paginator("describe_parameters"), "Parameters[].Name"),
    ]
    for kind, paginator, path in named:
        for name in paginator.paginate().search(path):  # type: ignore[attr-defined]
            if (name.endswith(ends) or f"/{environment}/" in name) and region in name:
                yield kind
    secrets = clients.get("secretsmanager", region).get_paginator("list_secrets")
    for name in secrets.paginate().search("SecretList[].Name"):
        if f"/{environment}/" in name:
            yield "secret"


def start_until_step(place: Place, step: str, *command: str, **more: str) -> subprocess.Popen[str]:
    """Start the command, and return when the journal says that ``step`` begins."""
    process = place.start(*command, **more)
    runs = next((place.folder / ".regionshift/state/journal").glob("*/runs"))
    known = {path.name for path in runs.iterdir()}
    until = time.monotonic() + 240
    while time.monotonic() < until and process.poll() is None:
        new = [path for path in runs.iterdir() if path.name not in known]
        if any(f'"step":"{step}"' in event.read_text() for run in new for event in run.glob("*.json")):
            break
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    return process


def kill_at_step(place: Place, step: str, *command: str, **more: str) -> None:
    """Start the command and kill it, with everything it started, when the journal says that ``step`` begins."""
    process = start_until_step(place, step, *command, **more)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def kill_children(parent: int) -> list[int]:
    """kill -9 every Pulumi CLI that ``parent`` started; the parent lives on."""
    killed = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            if "pulumi" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(int(child), signal.SIGKILL)
                killed.append(int(child))
    return killed
