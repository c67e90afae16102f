"""What every policy of the program allows, in every region."""

from __future__ import annotations

import json
import re

import pytest
from policy_reading import Found, statements
from recorder import ACCOUNT, REGIONS, Run, built, config

from regionshift.iam.actions import expanded, resource_arns
from regionshift.iam.documents import PolicyKind, parse
from regionshift.iam.findings import Placed, faults
from regionshift.infrastructure.boundary import boundary_statements
from regionshift.infrastructure.policies.statement import (
    EVERY_OF_A_TYPE,
    WILDCARD_DENIES,
    WITHOUT_RESOURCE,
    document,
)
from regionshift.settings.regions import PARTITIONS, endpoint_service
from regionshift.settings.regions import REGIONS as REGIONS_OF_AWS


@pytest.fixture(scope="module", params=["ssm", "secretsmanager"])
def run(request: pytest.FixtureRequest) -> Run:
    return built(
        config(
            network={"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True},
            application={"store": request.param, "secrets": {"database": {"env": "DATABASE"}}},
            carry={
                "s3": [{"prefix": "uploads/"}, {"bucket": "media-{region}"}],
                "ssm": [{"path": "/shop/prod"}],
                "secrets": [{"name": "shop/"}],
            },
        )
    )


def of_function(run: Run, region: str) -> list[Found]:
    return [
        found
        for found in statements(run)
        if found.name.startswith("function-") and found.name.endswith(f"-policy-{region}")
    ]


def test_no_action_has_a_wildcard_but_in_a_listed_refusal(run: Run) -> None:
    for found in statements(run):
        wild = [action for action in found.actions if "*" in action]
        if wild:
            assert found.statement["Effect"] == "Deny", found
            assert set(wild) <= set(WILDCARD_DENIES), found


def test_no_statement_is_about_everything_but_the_listed(run: Run) -> None:
    for found in statements(run):
        if "*" in found.resources and not found.is_key_policy:
            assert set(found.actions) <= set(WITHOUT_RESOURCE), found
            assert found.statement["Effect"] == "Allow"


def test_what_is_about_every_resource_could_name_none_by_aws_own_reference() -> None:
    # A dataset is what OpenTelemetry's metrics go to; ours go to a namespace, which is none.
    assert [action for action in WITHOUT_RESOURCE if resource_arns(action)] == ["cloudwatch:PutMetricData"]
    assert [action for action in WITHOUT_RESOURCE if not expanded(action)] == []


def test_every_action_is_one_of_aws(run: Run) -> None:
    named = {action for found in statements(run) for action in found.actions}
    assert [action for action in sorted(named) if not expanded(action)] == []


def test_every_exception_from_the_rules_for_policies_is_needed() -> None:
    run = built(config(network={"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True}))
    judged = [
        Placed(one.name, PolicyKind.IDENTITY, "iam", None, parse(one.inputs["policy"]))
        for one in run.of("iam/rolePolicy:RolePolicy")
    ]
    told = " ".join(fault.detail for fault in faults(judged, ACCOUNT))
    assert [action for action in EVERY_OF_A_TYPE if action not in told] == []


def test_the_boundary_of_the_roles_lets_nobody_change_permissions() -> None:
    bounds = parse(document(boundary_statements(config())))
    assert faults([Placed("b", PolicyKind.IDENTITY, "iam", None, bounds, is_boundary=True)], ACCOUNT) == []


def test_every_listed_exception_is_needed(run: Run) -> None:
    used = {action for found in statements(run) if "*" in found.resources for action in found.actions}
    assert set(WITHOUT_RESOURCE) <= used
    assert set(WILDCARD_DENIES) <= {action for found in statements(run) for action in found.actions}


# Words that end a host or begin an endpoint service's name in some partition.
_DOMAINS = [
    word
    for each in PARTITIONS.values()
    for suffix in (each.dns_suffix, each.dual_stack_suffix)
    for word in (suffix, ".".join(reversed(suffix.split("."))))
]
_IN_A_DOMAIN = re.compile(rf"[\w.*-]*(?:{'|'.join(map(re.escape, _DOMAINS))})[\w.*-]*")
# Principals that are called the same in every partition (aws-cdk-lib, region-info, "Default.servicePrincipal").
_EVERYWHERE = {
    f"{service}.amazonaws.com"
    for service in ("cloudwatch", "lambda", "logging.s3", "s3", "states", "vpc-flow-logs")
}


@pytest.mark.parametrize(("partition", "regions"), REGIONS_OF_AWS.items())
def test_no_resource_names_another_partition(partition: str, regions: tuple[str, ...]) -> None:
    """In China `kms:ViaService` and the log service's principal end in .com.cn: with another end nothing matches."""
    primary, *secondaries = regions[:2]
    run = built(
        config(
            regions={"primary": primary, "secondaries": secondaries},
            network={"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True, "flow_logs": True},
            alerts={"emails": ["a@example.com"], "replication_latency": 600},
            carry={
                "s3": [{"bucket": "media-{region}", "kms_key": "alias/media"}],
                "ssm": [{"path": "/shop"}],
                "secrets": [{"name": "shop/"}],
            },
        )
    )
    told = json.dumps([dict(one.inputs) for one in run.plain], default=str)
    assert set(re.findall(r"\barn:([a-z-]+):", told)) == {partition}
    services = {one.inputs["serviceName"] for one in run.of("ec2/vpcEndpoint:VpcEndpoint")}
    assert len(services) == 8 * len(regions[:2])
    place = "|".join([*map(re.escape, regions[:2]), r"\*"])
    of_a_region = re.compile(rf"[a-z0-9]+\.({place})\.{re.escape(PARTITIONS[partition].dns_suffix)}")
    named = set(_IN_A_DOMAIN.findall(told)) - services - _EVERYWHERE
    assert [name for name in named if not of_a_region.fullmatch(name)] == []
    assert f"logs.{primary}.{PARTITIONS[partition].dns_suffix}" in named


@pytest.mark.parametrize(
    ("region", "service", "name"),
    [
        ("eu-west-1", "states", "com.amazonaws.eu-west-1.states"),
        ("cn-north-1", "s3", "com.amazonaws.cn-north-1.s3"),
        ("cn-north-1", "kms", "com.amazonaws.cn-north-1.kms"),
        ("cn-north-1", "states", "cn.com.amazonaws.cn-north-1.states"),
        ("cn-northwest-1", "monitoring", "cn.com.amazonaws.cn-northwest-1.monitoring"),
        ("us-iso-west-1", "monitoring", "gov.ic.c2s.us-iso-west-1.monitoring"),
        ("us-isob-east-1", "sns", "gov.sgov.sc2s.us-isob-east-1.sns"),
        ("eusc-de-east-1", "sns", "com.amazonaws.eusc-de-east-1.sns"),
    ],
)
def test_an_endpoints_service_is_called_as_its_region_calls_it(region: str, service: str, name: str) -> None:
    assert endpoint_service(service, region) == name


def test_metrics_are_bound_to_the_namespace(run: Run) -> None:
    (one, *_) = [found for found in statements(run) if "cloudwatch:PutMetricData" in found.actions]
    assert one.statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Migration"}}


def test_only_anonymous_refusals_name_everybody(run: Run) -> None:
    for found in statements(run):
        if found.statement.get("Principal") == "*":
            assert found.statement["Effect"] == "Deny", found


@pytest.mark.parametrize("service", ["logging.s3", "cloudwatch"])
def test_services_act_for_this_account_only(run: Run, service: str) -> None:
    asked = [
        found
        for found in statements(run)
        if found.statement.get("Principal") == {"Service": f"{service}.amazonaws.com"}
    ]
    assert asked
    for found in asked:
        assert found.statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "111122223333"


@pytest.mark.parametrize("region", REGIONS)
def test_the_functions_rights_stay_in_its_region(run: Run, region: str) -> None:
    others = [other for other in REGIONS if other != region]
    text = json.dumps([found.statement for found in of_function(run, region)])
    assert not any(other in text for other in others)


def test_every_region_has_the_same_statements_but_for_its_name(run: Run) -> None:
    def neutral(region: str) -> list[tuple[str, str]]:
        mine = [
            (found.name, json.dumps(found.statement))
            for found in statements(run)
            # Replication and the worker reach into other regions; each has tests of its own.
            if found.name.endswith(f"-{region}") and not found.name.startswith(("replication-", "worker-"))
        ]
        return sorted((name.replace(region, "R"), text.replace(region, "R")) for name, text in mine)

    assert neutral("us-east-1") == neutral("eu-west-1") == neutral("us-west-2") != []


def test_every_region_has_the_same_variables() -> None:
    run = built(config())
    variables = {
        region: run.one(f"function-{region}").inputs["environment"]["variables"] for region in REGIONS
    }
    neutral = [
        {name: value.replace(region, "R") for name, value in values.items()}
        for region, values in variables.items()
    ]
    assert neutral[0] == neutral[1] == neutral[2]


@pytest.mark.parametrize("region", REGIONS)
def test_the_function_takes_back_only_objects_and_keeps_records_and_configuration(
    run: Run, region: str
) -> None:
    found = of_function(run, region)
    allowed = {action for one in found if one.statement["Effect"] == "Allow" for action in one.actions}
    objects = {"s3:DeleteObject", "s3:DeleteObjectVersion"}
    assert not any("Delete" in action for action in allowed - objects - {"ec2:DeleteNetworkInterface"})
    (records,) = [one for one in found if one.statement["Sid"] == "KeepRecords"]
    assert records.statement["Effect"] == "Deny"
    assert [resource.rpartition("/")[0].rpartition("/")[2] for resource in records.resources] == [
        "migrations",
        "rollbacks",
    ]
    (kept,) = [one for one in found if one.statement["Sid"] == "KeepConfiguration"]
    (read,) = [one for one in found if one.statement["Sid"] == "ReadConfiguration"]
    assert kept.statement["Effect"] == "Deny"
    assert kept.resources[0] == read.resources[0]


def of_worker(run: Run, region: str) -> list[Found]:
    return [
        one
        for one in statements(run)
        if one.name.startswith("worker-") and one.name.endswith(f"-policy-{region}")
    ]


@pytest.mark.parametrize("region", REGIONS)
def test_the_worker_writes_only_what_is_named_and_only_in_its_region(run: Run, region: str) -> None:
    changing = {
        resource
        for one in of_worker(run, region)
        if any(word in action for action in one.actions for word in ("Put", "Delete", "Create", "Tag"))
        and not set(one.actions) & {"logs:CreateLogStream", "logs:PutLogEvents", "s3:ListBucket"}
        for resource in one.resources
        if set(one.actions) - {"s3:GetObjectTagging", "ssm:ListTagsForResource"}
        and "Read" not in one.statement["Sid"]
    }
    own = f"arn:aws:s3:::shop-deployment-{region}-dev-111122223333"
    assert changing - {"*"} == {
        f"{own}/migrations/*",
        f"{own}/rollbacks/*",
        f"{own}/uploads/*",
        f"arn:aws:s3:::media-{region}/*",
        f"arn:aws:ssm:{region}:111122223333:parameter/shop/prod/*",
        f"arn:aws:secretsmanager:{region}:111122223333:secret:shop/*",
    }


@pytest.mark.parametrize("region", REGIONS)
def test_the_worker_reads_in_every_region_and_uses_keys_through_services_only(run: Run, region: str) -> None:
    found = {one.statement["Sid"]: one for one in of_worker(run, region)}
    assert {f"arn:aws:s3:::media-{other}/*" for other in REGIONS} <= set(found["ReadObjects"].resources)
    keys = [one for one in of_worker(run, region) if any("kms:" in action for action in one.actions)]
    (sealing,) = [one for one in keys if one.actions == ["kms:GenerateMac"]]
    assert "records-key" in sealing.resources[0]
    keys.remove(sealing)
    assert all(
        any("kms:ViaService" in bound for bound in one.statement["Condition"].values()) for one in keys
    )
    (read,) = [one for one in keys if one.statement["Sid"] == "ReadWithKeys"]
    assert all(
        service.count("*") == 1 for service in read.statement["Condition"]["StringLike"]["kms:ViaService"]
    )


def test_a_worker_that_has_nothing_to_carry_reaches_its_records_alone() -> None:
    reached = {
        resource.removeprefix("arn:aws:s3:::shop-deployment-eu-west-1-dev-111122223333")
        for found in of_worker(built(config()), "eu-west-1")
        if any(action.startswith("s3:") for action in found.actions)
        for resource in found.resources
    }
    assert reached == {"", "/migrations/*", "/rollbacks/*"}


def test_no_role_may_create_log_groups(run: Run) -> None:
    assert not any("logs:CreateLogGroup" in found.actions for found in statements(run))
