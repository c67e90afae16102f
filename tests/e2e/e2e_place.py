"""A folder with a settings file in it, and the real command run there as a person would run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local import emulator

ACCOUNT = "123456789012"
COMMAND = str(Path(sys.executable).parent / "regionshift")
SENTINEL = "s3ntinel-7f1c-never-to-be-shown"
_PATIENCE_S = 300.0


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

    @property
    def regions(self) -> list[str]:
        regions = self.settings["regions"]
        return [regions["primary"], *regions.get("secondaries", [])]

    @property
    def clients(self) -> Clients:
        cloud = emulator.up(self.folder / ".regionshift/cloud", ACCOUNT)
        key = AccessKey(cloud.access_key, cloud.secret_key)
        return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "regionshift.yaml").write_text(yaml.safe_dump(self.settings), encoding="utf-8")

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """The command in a process group of its own, not waited for."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "REGIONSHIFT_", "ENVIRONMENT_SUFFIX", "PULUMI_"))
        }
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
        out, err = process.communicate(timeout=_PATIENCE_S)
        self.told.append(out + err)
        return Done(process.returncode, out, err)

    def run(self, *arguments: str, **more: str) -> Done:
        return self.finish(self.start(*arguments, **more))

    def start_and_wait_for(self, arguments: list[str], steps: int) -> subprocess.Popen[str]:
        """Start the command with -v, and return when it has done so many steps."""
        process = self.start(*arguments, "-v")
        assert process.stderr is not None
        seen, said = 0, []
        for line in process.stderr:
            said.append(line)
            seen += "done" in line and "create" in line
            if seen >= steps:
                return process
        raise AssertionError(f"ended before {steps} steps: {''.join(said)}")

    def close(self) -> None:
        emulator.down(self.folder / ".regionshift/cloud", wipe=True)


def settings(**more: Any) -> dict[str, Any]:
    """Three regions, one secret of the application."""
    return {
        "project": "orders",
        "environment": "dev",
        "account": ACCOUNT,
        "target": "local",
        "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1", "ap-southeast-2"]},
        "network": {"vpc_cidr": "10.0.0.0/16"},
        "application": {"secrets": {"token": {"env": "ORDERS_TOKEN"}}},
        **more,
    }


def census(clients: Clients, regions: list[str], environment: str) -> Counter[str]:
    """How many things of each kind carry the environment's tag, keys that wait for deletion left out."""
    found: Counter[str] = Counter()
    for region in regions:
        tagging = clients.get("resourcegroupstaggingapi", region)
        for page in tagging.get_paginator("get_resources").paginate(
            TagFilters=[{"Key": "Environment", "Values": [environment]}]
        ):
            for each in page["ResourceTagMappingList"]:
                service, _, _, rest = each["ResourceARN"].split(":", 5)[2:]
                if service == "kms":
                    key = clients.get("kms", region).describe_key(KeyId=each["ResourceARN"])["KeyMetadata"]
                    if key["KeyState"] == "PendingDeletion":
                        continue
                kind = rest.replace(":", "/").split("/")[0] if service in ("ec2", "iam", "lambda") else ""
                found[f"{region} {service} {kind}"] += 1
    return found


def kill_children(parent: int) -> list[int]:
    """kill -9 every Pulumi CLI that ``parent`` started; the parent lives on."""
    killed = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            if "pulumi" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(int(child), signal.SIGKILL)
                killed.append(int(child))
    return killed
