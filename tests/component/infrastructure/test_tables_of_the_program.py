"""Every statement, alarm and order of creation that the program writes, against tables that people read.

``policies.txt`` and ``alarms.txt`` have the primary region of ``SETTINGS``. After a change that is meant, write them
anew with ``python tests/component/infrastructure/test_tables_of_the_program.py`` and read the difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from policy_reading import POLICY_INPUTS
from recorder import REGIONS, Registered, Run, built, config
from test_bootstrap_program import of_account

from regionshift.infrastructure.runtime_rights import REASONS, runtime_roles
from regionshift.infrastructure.site import Site
from regionshift.local.provider.handlers import BY_TOKEN
from regionshift.settings.config import MigrationConfig

HERE = Path(__file__).parent
PRIMARY = "us-east-1"
# Of everything one, and an environment that its suffix names.
SETTINGS: dict[str, Any] = {
    "environment_suffix": "pr-42",
    "network": {"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True, "flow_logs": True},
    "alerts": {
        "emails": ["a@example.com"], "errors": 3, "throttles": 5, "duration_share": 0.5, "replication_latency": 600
    },
    "function": {"timeout": 60},
    "access": {"operators": ["arn:aws:iam::123456789012:role/operators"]},
    "carry": {
        "s3": [
            {"prefix": "uploads/"},
            {"bucket": "media-{region}", "prefix": "odd*[$]?/", "kms_key": "alias/media"},
            {"bucket": "theirs", "source_account": "210987654321", "target_bucket": "new-{region}",
             "created_by": "regionshift"},
            {"bucket": "ours", "target_bucket": "partner-{region}", "target_account": "210987654321"},
        ],
        "ssm": [{"path": "/shop/prod"}],
        "secrets": [{"name": "shop/"}, {"tags": {"App": "shop"}}],
    },
}  # fmt: skip


def program_settings(store: str = "ssm", more: Sequence[dict[str, Any]] = ()) -> MigrationConfig:
    """``SETTINGS``, the configuration kept in ``store``; ``more``: objects to carry."""
    application = {"store": store, "secrets": {"database": {"env": "DATABASE"}}}
    carry = {**SETTINGS["carry"], "s3": [*SETTINGS["carry"]["s3"], *more]}
    return config(**{**SETTINGS, "carry": carry}, application=application)


IN_SECRETS_MANAGER = ("secretsmanager", [{"bucket": f"media-{n}-{{region}}"} for n in range(20)])
"""More to carry than inline policies have room for."""


def program(store: str = "ssm", more: Sequence[dict[str, Any]] = ()) -> Run:
    """The program over such settings."""
    return built(program_settings(store, more))


@pytest.fixture(scope="module")
def run() -> Run:
    return program()


@pytest.fixture(scope="module")
def in_secrets_manager() -> Run:
    return program(*IN_SECRETS_MANAGER)


# The order in which a table is read is the order of names, not the one in which the engine happens to be asked.
def of_region(run: Run, region: str) -> list[Registered]:
    return sorted((one for one in run.plain if one.name.endswith(f"-{region}")), key=lambda one: one.name)


def policies(resources: list[Registered]) -> Iterator[str]:
    """Every statement, each line of it on a line."""
    for resource in resources:
        for field in POLICY_INPUTS:
            if text := resource.inputs.get(field):
                yield from (f"{resource.name} {field}", *(_lines(json.loads(text)["Statement"])), "")


def _lines(statements: list[dict[str, Any]]) -> Iterator[str]:
    for statement in statements:
        yield f"  {statement['Effect']} {statement['Sid']}"
        for word in sorted(set(statement) - {"Effect", "Sid"}):
            for value in _values(statement[word]):
                yield f"    {word}: {value}"


def _values(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    if isinstance(value, Mapping):
        return [f"{name} {each}" for name, below in sorted(value.items()) for each in _values(below)]
    return [str(value)]


def alarms(resources: list[Registered]) -> Iterator[str]:
    """Every alarm on a line: what makes it red, on which data, whom it tells, and what they read."""
    for one in resources:
        if one.type == "aws:cloudwatch/metricAlarm:MetricAlarm":
            given = one.inputs
            statistic = given.get("statistic") or given["extendedStatistic"]
            dimensions = ", ".join(f"{name}={value}" for name, value in sorted(given["dimensions"].items()))
            yield (
                f"{given['name']}: {statistic} of {given['namespace']} {given['metricName']} ({dimensions})"
                f" {given['comparisonOperator']} {given['threshold']:g} in {given['evaluationPeriods']:g} x"
                f" {given['period']:g} s, missing {given['treatMissingData']},"
                f" tells {' '.join(given['alarmActions'])} and {' '.join(given['okActions'])};"
                f" {given['alarmDescription']}"
            )


TABLES = {"policies.txt": policies, "alarms.txt": alarms}


@pytest.mark.parametrize("table", TABLES)
def test_the_program_writes_what_the_table_says(run: Run, table: str) -> None:
    assert list(TABLES[table](of_region(run, PRIMARY))) == (HERE / table).read_text().splitlines()


def without_resources(statements: Iterable[Mapping[str, Any]]) -> list[str]:
    """Statements to be compared: the recorder makes up the ARNs of what they are about."""
    return sorted(
        json.dumps({name: value for name, value in each.items() if name != "Resource"}, sort_keys=True)
        for each in statements
    )


@pytest.mark.parametrize("of", ["run", "in_secrets_manager"])
def test_the_roles_that_are_told_of_beforehand_are_those_of_the_program(
    of: str, request: pytest.FixtureRequest
) -> None:
    made: Run = request.getfixturevalue(of)
    given: dict[str, list[dict[str, Any]]] = {}
    for one in of_region(made, PRIMARY):
        if one.type == "aws:iam/rolePolicy:RolePolicy":
            given.setdefault(one.inputs["role"], []).extend(one.policy())
        if one.type == "aws:iam/policy:Policy":
            given.setdefault(f"shop-worker-{PRIMARY}-pr-42", []).extend(one.policy())
    settings = {"run": program_settings(), "in_secrets_manager": program_settings(*IN_SECRETS_MANAGER)}[of]
    told = runtime_roles(Site.by_settings(settings, PRIMARY))
    assert {role.name for role in told} == given.keys()
    for role in told:
        own = [each.statement for each in role.statements]
        assert without_resources(own) == without_resources(given[role.name]), role.name
        assert all(each.why for each in role.statements)


def test_no_reason_of_a_statement_is_left_over(run: Run, in_secrets_manager: Run) -> None:
    used = {
        re.sub(r"[0-9]+(x[0-9]+)?$", "", statement["Sid"])
        for made in (run, in_secrets_manager)
        for one in of_region(made, PRIMARY)
        if one.type in ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy")
        for statement in one.policy()
    }
    assert used == REASONS.keys()


def test_the_local_provider_has_the_types_of_both_programs_and_no_others(
    run: Run, in_secrets_manager: Run
) -> None:
    made = (*run.plain, *in_secrets_manager.plain, *of_account(config()).plain)
    assert set(BY_TOKEN) == {one.type for one in made}


def test_a_configuration_in_secrets_manager_gives_the_same_rights_to_it(in_secrets_manager: Run) -> None:
    (found,) = [
        one
        for one in of_region(in_secrets_manager, PRIMARY)
        if one.name == f"function-configuration-policy-{PRIMARY}"
    ]
    secret = "arn:aws:secretsmanager:::shop/pr-42/us-east-1/deployment-config"
    read, kept = found.policy()
    assert read == {
        "Sid": "ReadConfiguration",
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": [secret],
    }
    assert (kept["Effect"], kept["Resource"], kept["Sid"]) == ("Deny", [secret], "KeepConfiguration")
    assert kept["Action"] == [
        f"secretsmanager:{action}"
        for action in (
            "DeleteResourcePolicy",
            "DeleteSecret",
            "PutResourcePolicy",
            "PutSecretValue",
            "TagResource",
            "UntagResource",
            "UpdateSecret",
            "UpdateSecretVersionStage",
        )
    ]


@pytest.mark.parametrize("region", [region for region in REGIONS if region != PRIMARY])
def test_a_secondary_has_what_the_primary_has_but_for_its_links(run: Run, region: str) -> None:
    def turned(text: str) -> str:
        return text.replace(PRIMARY, "\0").replace(region, PRIMARY).replace("\0", region)

    def in_any_order(table: Any, of: str) -> list[str]:
        unlinked = [one for one in of_region(run, of) if not one.name.startswith("replication")]
        return [line for line in table(unlinked) if line]

    for table in (policies, alarms):
        there = sorted(turned(line) for line in in_any_order(table, region))
        assert there == sorted(in_any_order(table, PRIMARY))


ORDER: dict[str, tuple[str, ...]] = {
    # Invoked as soon as they exist, and without a group Lambda makes one of its own, with neither key nor retention.
    "function": (
        "function-configuration-policy",
        "function-dead-letters-policy",
        "function-key-policy",
        "function-seals-policy",
        "function-logs-policy",
        "function-metrics-policy",
        "function-network-interface-policy",
        "function-interface-removal-policy",
        "function-s3-policy",
        "function-start-migrations-policy",
        "function-topic-policy",
        "function-tracing-policy",
        "function-log-group",
    ),
    "worker": (
        "worker-key-policy",
        "worker-carry-keys-policy",
        "worker-logs-policy",
        "worker-objects-policy",
        "worker-parameters-policy",
        "worker-records-policy",
        "worker-seals-policy",
        "worker-secrets-policy",
        "worker-topic-policy",
        "worker-tracing-policy",
        "worker-log-group",
    ),
    # It has statements that the other had, and a nearly full role has no room for them twice.
    "worker-carry-keys-policy": ("worker-key-policy",),
    # Step Functions asks for the rights to its log when it is made.
    "states": ("states-run-policy", "states-logs-policy", "states-key-policy", "states-log-group"),
    # S3 takes replication only between buckets that keep versions, with a role that has its rights.
    "replication": ("replication-policy", "deployment-bucket-versioning"),
    # One change of a bucket's access at a time.
    "deployment-bucket-policy": ("deployment-bucket-public-access",),
    "log-bucket-policy": ("log-bucket-public-access",),
    "carried-new-us-east-1-policy": ("carried-new-us-east-1-public-access",),
    # Logs that arrive before the policy stands are lost.
    "deployment-bucket-logging": ("log-bucket-policy",),
    # Rules about old versions mean nothing before versions are kept.
    "deployment-bucket-lifecycle": ("deployment-bucket-versioning",),
    "log-bucket-lifecycle": ("log-bucket-versioning",),
    "carried-new-us-east-1-lifecycle": ("carried-new-us-east-1-versioning",),
    "flow-log": ("flow-logs-policy",),
    # Deleted the other way round: Lambda takes its interfaces out of these with the role's rights.
    "private-subnet-a": ("function-interface-removal-policy",),
    "private-subnet-b": ("function-interface-removal-policy",),
    "function-security-group": ("function-interface-removal-policy",),
}
"""What AWS needs to be there before, beyond what a resource names anyway."""


@pytest.mark.parametrize("thing", ORDER)
def test_what_aws_needs_first_is_made_first(run: Run, thing: str) -> None:
    assert {f"{before}-{PRIMARY}" for before in ORDER[thing]} <= run.before(f"{thing}-{PRIMARY}")


def test_replication_waits_for_versions_at_both_ends(run: Run) -> None:
    waits_for = run.before(f"replication-{PRIMARY}")
    assert {f"deployment-bucket-versioning-{region}" for region in REGIONS} <= waits_for


def test_what_has_no_room_inline_is_in_managed_policies_that_the_worker_waits_for(
    in_secrets_manager: Run,
) -> None:
    of_region = [one for one in in_secrets_manager.plain if one.name.endswith(f"-{PRIMARY}")]
    made = {one.inputs["name"] for one in of_region if one.type == "aws:iam/policy:Policy"}
    attached = [one for one in of_region if one.type == "aws:iam/rolePolicyAttachment:RolePolicyAttachment"]
    assert {one.inputs["policyArn"].rpartition(":")[2] for one in attached} == made
    assert {one.inputs["role"] for one in attached} == {f"shop-worker-{PRIMARY}-pr-42"}
    assert {one.name for one in attached} <= in_secrets_manager.before(f"worker-{PRIMARY}")
    assert len(made) > 1


@pytest.mark.parametrize("role", ["function", "worker", "states"])
def test_every_policy_of_a_role_is_waited_for(run: Run, role: str) -> None:
    (of_role,) = {one.inputs["name"] for one in run.plain if one.name == f"{role}-role-{PRIMARY}"}
    given = {
        one.name
        for one in run.of("iam/rolePolicy:RolePolicy")
        if one.inputs["role"] == of_role and one.name.endswith(f"-{PRIMARY}")
    }
    assert given == {f"{one}-{PRIMARY}" for one in ORDER[role] if one.endswith("-policy")}


@pytest.mark.parametrize("count", [1, 7])
def test_an_alarm_is_red_at_the_count_that_the_settings_give_and_not_before(count: int) -> None:
    run = built(config(alerts={"errors": count, "throttles": count}))
    for alarm in ("function-errors", "worker-errors", "throttles"):
        made = run.one(f"{alarm}-alarm-{PRIMARY}").inputs
        assert made["comparisonOperator"] == "GreaterThanThreshold"
        assert count - 1 <= made["threshold"] < count


if __name__ == "__main__":
    for name, table in TABLES.items():
        (HERE / name).write_text("\n".join(table(of_region(program(), PRIMARY))) + "\n")
