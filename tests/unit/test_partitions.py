"""Every partition of AWS has its own ARNs and host names, and no part of the program writes another's."""

from __future__ import annotations

import ast
import contextlib
import re
from pathlib import Path
from typing import Any

import pytest

from regionshift.aws.guard import require_aws
from regionshift.errors import Refused
from regionshift.infrastructure.state_machine import definition
from regionshift.operations.checks.base import CheckContext
from regionshift.settings.carry import CarryBucket
from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import PARTITIONS, REGIONS, s3_endpoint

SOURCE = Path(__file__).resolve().parents[2] / "src" / "regionshift"
# The embedded AWS has one partition. Examples and comments of the settings show the usual one.
SHOWN = ("local/", "settings/fields.py", "settings/template.py")
each_partition = pytest.mark.parametrize(
    ("partition", "region"), [(name, each[0]) for name, each in REGIONS.items()]
)


def _config(region: str) -> MigrationConfig:
    settings: dict[str, Any] = {
        "project": "shop", "environment": "dev", "account": "111122223333", "regions": {"primary": region},
        "network": {"vpc_cidr": "10.0.0.0/8"},
    }  # fmt: skip
    return MigrationConfig.model_validate(settings)


@each_partition
def test_the_state_machine_calls_in_the_workers_partition(partition: str, region: str) -> None:
    worker = f"arn:{partition}:lambda:{region}:111122223333:function:worker"
    arns = set(re.findall(r"arn:[^\"]*", definition(worker)))
    calls = {f"arn:{partition}:states:::{call}" for call in ("lambda:invoke", "s3:getObject", "s3:putObject")}
    assert arns == {worker, *calls}


@each_partition
def test_checks_ask_about_arns_of_the_regions_partition(partition: str, region: str) -> None:
    context = CheckContext(_config(region), *[None] * 3)  # type: ignore[arg-type]
    assert context.arn("sns", region, "alarms") == f"arn:{partition}:sns:{region}:111122223333:alarms"


@each_partition
def test_the_endpoints_of_a_partition_are_aws(partition: str, region: str) -> None:
    ours = PARTITIONS[partition]
    taken = [
        s3_endpoint(region),
        f"https://sqs.{region}.{ours.dual_stack_suffix}",
        f"https://x.{ours.dns_suffix}:443",
    ]
    for endpoint in taken:
        require_aws({"AWS_ENDPOINT_URL_S3": endpoint}, {"a profile": endpoint})
        with pytest.raises(Refused):
            require_aws({"AWS_ENDPOINT_URL_S3": endpoint.removesuffix(":443") + ".example"}, {})


def test_a_created_buckets_name_has_room_for_the_longest_region() -> None:
    longest = max((region for regions in REGIONS.values() for region in regions), key=len)
    for characters, fits in ((63 - len(longest), True), (64 - len(longest), False)):
        entry = {"bucket": "old", "target_bucket": "n" * characters + "{region}", "created_by": "regionshift"}
        with contextlib.nullcontext() if fits else pytest.raises(ValueError, match="at most 63 characters"):
            CarryBucket.model_validate(entry)


def test_no_part_of_the_program_writes_a_partition_of_its_own() -> None:
    written = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        if not path.relative_to(SOURCE).as_posix().startswith(SHOWN)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and str(node.value).startswith("arn:aws:")
    ]
    assert written == []
