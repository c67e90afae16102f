"""Every name of every environment fits AWS's limits, is its own and shared with no other environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from settings_samples import made, projects, region_sets

from regionshift.settings.components import (
    COMPONENTS,
    DEPLOYMENT_BUCKET,
    FUNCTION,
    WORKER,
    PipelineRole,
    every_name,
    name_problems,
    replication_failed_alarm,
)
from regionshift.settings.names import Identity, NameKind, Names, normalize_name, shorten


def test_a_name_reads_project_component_region_environment() -> None:
    names = Names("Shop", "PR_42", "012345678901")
    assert names.get_resource_name("migration", "eu-west-1") == "shop-migration-eu-west-1-pr-42"
    assert names.bucket("logs", "eu-west-1") == "shop-logs-eu-west-1-pr-42-012345678901"
    assert names.parameter("deployment-config", "eu-west-1") == "/shop/pr-42/eu-west-1/deployment-config"
    assert names.key_alias("eu-west-1") == "alias/shop-key-eu-west-1-pr-42"


def test_kinds_with_one_limit_are_still_different_kinds() -> None:
    assert NameKind.ROLE is not NameKind.FUNCTION
    assert len(set(NameKind)) == len(NameKind.__members__)


@given(st.text())
def test_normalizing_leaves_letters_digits_and_single_inner_dashes(text: str) -> None:
    name = normalize_name(text)
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", name)
    assert normalize_name(name) == name


@given(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,9}", fullmatch=True), st.integers(12, 300))
def test_a_shortened_name_fits_and_keeps_its_head(name: str, limit: int) -> None:
    short = shorten(name, limit)
    assert len(short) <= limit
    if len(name) <= limit:
        assert short == name
    else:
        assert re.search(r"--[0-9a-f]{8}$", short) or limit < 12
        assert name.startswith(short[:-10].rstrip("-"))


@given(st.text("ab", min_size=64, max_size=90), st.text("ab", min_size=64, max_size=90))
def test_two_long_names_stay_different(one: str, other: str) -> None:
    assume(one != other)
    assert shorten(one, 64) != shorten(other, 64)


@given(projects, projects, region_sets, st.sampled_from(["ssm", "secretsmanager"]))
def test_every_name_in_every_region_is_one_that_aws_takes(
    project: str, environment: str, regions: list[str], store: str
) -> None:
    config = made(
        project=project,
        environment=environment,
        regions={"primary": regions[0], "secondaries": regions[1:]},
        application={"store": store, "secrets": {"Database.Password": {"env": "PASSWORD"}}},
    )
    assert name_problems(config) == []
    names = every_name(config)
    assert {name.region for name in names} == set(regions)
    assert len(names) > len(regions) * len(COMPONENTS) * 0.9


@given(projects, projects)
def test_the_engine_takes_every_name_too(project: str, environment: str) -> None:
    """Pulumi's documentation, "Projects" and "Stacks": letters, digits, ``-``, ``_`` and ``.``, 100 at most."""
    found = Identity(project, environment, "aws", "012345678901")
    for name in (found.engine_project, found.stack):
        assert re.fullmatch(r"[a-z0-9-]{1,100}", name)


def test_the_names_in_the_documentation_are_those_that_are_made() -> None:
    page = (Path(__file__).parents[3] / "docs/settings.md").read_text(encoding="utf-8")
    long = Names("online-shop-of-the-northern-branch", "feature/SED-1", "012345678901")
    unclear = Names("shop", "worker-us-east-1-c", "012345678901")
    for name in (DEPLOYMENT_BUCKET.name(long, "us-east-1"), WORKER.name(unclear, "us-east-1")):
        assert f"`{name}` |" in page


@given(projects, projects, projects, region_sets)
def test_two_environments_of_one_project_share_no_name(
    project: str, one: str, other: str, regions: list[str]
) -> None:
    assume(normalize_name(one) != normalize_name(other))
    where = {"primary": regions[0], "secondaries": regions[1:]}
    first, second = (
        {(name.kind, name.name) for name in every_name(made(project=project, environment=it, regions=where))}
        for it in (one, other)
    )
    assert not first & second


# Words that meet in names: pieces of components and regions on either side of every dash.
_pieces = st.lists(
    st.sampled_from(
        ["a", "1", "worker", "logs", "dead", "letters", "us-east-1", "eu-west-1", "us", "east", "w" * 40]
    ),
    min_size=1,
    max_size=4,
).map("-".join)
_REGIONS = ["us-east-1", "eu-west-1"]


def _names_of(project: str, environment: str) -> set[tuple[NameKind, str]]:
    names = Names(project, environment, "012345678901")
    components = [*COMPONENTS, *(replication_failed_alarm(region) for region in _REGIONS)]
    return {
        (each.kind, each.name(names, region))
        for each in components
        for region in _REGIONS
        if each.kind is not NameKind.ROLE_POLICY  # named within its role only
    }


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(_pieces, _pieces, _pieces, _pieces)
@example("a", "deploy-b", "a-deploy", "b")
def test_two_pipelines_share_no_name_and_none_with_an_environment(
    project: str, environment: str, other: str, its: str
) -> None:
    assume((project, environment) != (other, its))
    parts = [*PipelineRole, "boundary"]
    mine, theirs = (
        {Names(*of, "012345678901").pipeline(part) for part in parts}
        for of in ((project, environment), (other, its))
    )
    assert len(mine) == len(parts)
    assert all(len(name) <= NameKind.ROLE.limit for name in mine)
    assert not mine & theirs
    assert not mine & {name for _, name in _names_of(other, its)}


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(_pieces, _pieces, _pieces, _pieces)
@example("a", "worker-us-east-1-c", "a-worker-us-east-1", "c")
@example("a", "c-us-east-1", "a-worker-us-east-1", "c-us-east-1")
@example("a-dead", "x", "a", "x")
def test_two_environments_of_two_projects_share_no_name(
    project: str, environment: str, other: str, its: str
) -> None:
    assume((project, environment) != (other, its))
    assert not _names_of(project, environment) & _names_of(other, its)


@given(st.integers(60, 90), st.sampled_from(list(NameKind)))
def test_no_environment_can_be_called_like_the_short_form_of_another(length: int, kind: NameKind) -> None:
    names = Names("a", "e" * length, "012345678901")
    short = names.get_resource_name("worker", "us-east-1", kind)
    other = Names("a", short.removeprefix("a-worker-us-east-1-"), "012345678901")
    assume(other.environment != names.environment)
    assert other.get_resource_name("worker", "us-east-1", kind) != short


def test_no_component_ends_in_another_of_its_kind() -> None:
    # Else project "a" with component "b-c" and project "a-b" with component "c" would have one name.
    for one in COMPONENTS:
        for other in COMPONENTS:
            # A role policy is named within its role only.
            if one.kind is other.kind is not NameKind.ROLE_POLICY:
                assert not one.part.endswith(f"-{other.part}")


def test_the_suffix_takes_the_environments_place_in_names() -> None:
    config = made(environment_suffix="pr-42")
    assert config.suffix == "pr-42"
    assert FUNCTION.name(config.names, "us-east-1") == "shop-migration-us-east-1-pr-42"
    assert made().suffix == "dev"


def test_a_secret_named_like_the_configuration_is_found() -> None:
    config = made(application={"secrets": {"deployment-config": {"env": "X"}}})
    problems = name_problems(config)
    assert {problem.region for problem in problems} == set(config.all_regions)
    assert all("is the name of both" in problem.problem for problem in problems)


@pytest.mark.parametrize(
    ("project", "kinds"),
    [
        ("sthree", {NameKind.BUCKET}),
        ("amzn-s3-demo", {NameKind.BUCKET}),
        ("sg", {NameKind.SECURITY_GROUP}),
        ("ssm", {NameKind.PARAMETER}),
        ("AWS tools", {NameKind.PARAMETER}),
        ("AWS", {NameKind.PARAMETER, NameKind.LOG_GROUP}),
    ],
)
def test_beginnings_that_aws_keeps_are_found(project: str, kinds: set[NameKind]) -> None:
    assert {problem.kind for problem in name_problems(made(project=project))} == kinds


def test_the_limits_are_those_of_aws() -> None:
    """From the pages that `NameKind` names."""
    assert {kind.label: (kind.shortest, kind.limit) for kind in NameKind} == {
        "bucket": (3, 63),
        "role": (1, 64),
        "role policy": (1, 128),
        "managed policy": (1, 128),
        "function": (1, 64),
        "topic": (1, 256),
        "queue": (1, 80),
        "log group": (1, 512),
        "alarm": (1, 255),
        "dashboard": (1, 255),
        "key alias": (7, 256),
        "parameter": (1, 1011),
        "secret": (1, 512),
        "state machine": (1, 80),
        "security group": (1, 255),
    }


def test_a_long_name_of_a_bucket_keeps_the_account_readable() -> None:
    config = made(project="p" * 100)
    name = DEPLOYMENT_BUCKET.name(config.names, "us-east-1")
    assert len(name) == NameKind.BUCKET.limit
    assert name.endswith("-012345678901")
