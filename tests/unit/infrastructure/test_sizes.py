"""Sizes of what the program writes, reckoned from the settings; and policies that do not grow with regions."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionshift.infrastructure import carried
from regionshift.infrastructure.policies.packing import length, packed
from regionshift.infrastructure.policies.statement import FENCE, allow, document
from regionshift.infrastructure.site import Site
from regionshift.infrastructure.sizes import documents
from regionshift.infrastructure.worker_rights import foreseen, worker_policies
from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import REGIONS, patterns_of

EVERY = REGIONS["aws"]


def made(regions: tuple[str, ...] = EVERY[:30], **more: Any) -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": "shop",
            "environment": "prod",
            "account": "123456789012",
            "regions": {"primary": regions[0], "secondaries": list(regions[1:])},
            "network": {"vpc_cidr": "10.0.0.0/8"},
            **more,
        }
    )


def carry(entries: int) -> dict[str, Any]:
    """As many entries of all kinds, each in a place and under a key of its own."""
    return {
        "s3": [
            {"bucket": f"media-{n}-{{region}}", "prefix": "files/", "kms_key": f"alias/m{n}-{{region}}"}
            for n in range(0, entries, 3)
        ],
        "ssm": [{"path": f"/shop/{n}/{{region}}"} for n in range(1, entries, 3)],
        "secrets": [
            {"name": f"shop/{n}/"} if n % 2 else {"tags": {"App": f"shop-{n}"}} for n in range(2, entries, 3)
        ],
    }


@pytest.mark.parametrize("entries", [0, 3, 20, 50])
def test_thirty_regions_fit(entries: int) -> None:
    found = list(documents(made(carry=carry(entries))))
    assert not [each.problem for each in found if each.is_too_large]
    assert {each.region for each in found} == set(EVERY[:30])


def test_a_full_role_has_room_for_what_fences_it() -> None:
    for entries in range(4, 12):
        site = Site.by_settings(made(EVERY[:3], carry=carry(entries)), EVERY[0])
        policies = worker_policies(site, foreseen(site))
        inline = sum(length(each.statements) for each in policies.inline)
        assert inline + len("".join(FENCE.split())) <= 10_240


def test_few_entries_stay_inline_and_every_bucket_is_named_while_that_fits() -> None:
    for entries, regions, managed, by_pattern in (
        (3, 3, False, False),
        (20, 10, True, False),
        (50, 30, True, True),
    ):
        site = Site.by_settings(made(EVERY[:regions], carry=carry(entries)), EVERY[0])
        policies = worker_policies(site, foreseen(site))
        assert bool(policies.managed) == managed
        assert ("-??-" in json.dumps(list(policies.managed.values()))) == by_pattern


def test_what_is_too_large_is_said_with_what_to_shorten() -> None:
    config = made(EVERY[:2], carry={"s3": [{"prefix": f"{n}/" + "p" * 1000} for n in range(50)]})
    found = [each for each in documents(config) if each.is_too_large]
    assert {each.region for each in found} == set(EVERY[:2])
    assert all("carry" in each.shorten and "6,144" in each.problem for each in found)


ARNS = st.lists(
    st.text("ab*?/é", max_size=300).map(lambda text: f"arn:aws:s3:::{text}"), min_size=1, max_size=30
)


@given(st.lists(ARNS, min_size=1, max_size=6), st.integers(800, 2000))
def test_packed_policies_give_the_same_rights_and_are_within_the_bound(
    lists: list[list[str]], most: int
) -> None:
    statements = [
        allow(f"S{n}", [f"s3:A{n}"], arns, condition={"StringEquals": {"a": "b"}})
        for n, arns in enumerate(lists)
    ]
    policies = packed(statements, most)

    def rights(found: list[Any]) -> list[tuple[str, str, str]]:
        return [
            (one["Action"][0], resource, json.dumps(one["Condition"]))
            for one in found
            for resource in one["Resource"]
        ]

    assert rights([one for policy in policies for one in policy]) == rights(statements)
    for policy in policies:
        assert len({one["Sid"] for one in policy}) == len(policy)
        assert length(policy) <= most or len(rights(policy)) == 1
        assert length(policy) == len(json.dumps(json.loads(document(policy)), separators=(",", ":")))


@given(st.lists(st.sampled_from(EVERY), unique=True, min_size=1))
def test_a_pattern_stands_for_its_regions_and_for_what_has_the_form_of_one(regions: list[str]) -> None:
    patterns = patterns_of(regions)
    assert all(fnmatchcase(region, pattern) for region, pattern in patterns.items())
    assert all("*" not in pattern for pattern in patterns.values())
    for region, pattern in patterns.items():
        alike = [other for other in regions if fnmatchcase(other, pattern)]
        assert (pattern == region) == (len(alike) == 1)
    # Names of environments around the region's code are not taken for a part of it.
    assert not any(fnmatchcase(f"shop-x-{r}-dev", f"shop-{p}-dev") for r, p in patterns.items())


@pytest.mark.parametrize("project", ["shop", "a-project-whose-buckets-end-in-a-hash-as-it-is-long"])
def test_patterns_reach_all_that_is_reached_by_name(project: str) -> None:
    entries = [{"prefix": "up/"}, {"bucket": "media-{region}"}, {"bucket": "{region}.x", "prefix": "a/"}]
    site = Site.by_settings(made(project=project, carry={"s3": entries}), EVERY[3])
    (named,), (short,) = carried.objects(site), carried.objects(site, by_pattern=True)
    for exact, patterns in ((named.read, short.read), (named.sources, (*short.sources, *short.targets))):
        assert all(any(fnmatchcase(arn.replace("[", ""), each) for each in patterns) for arn in exact)
    assert (named.write, named.targets) == (short.write, short.targets)
    assert len(short.read) < len(named.read) / (2 if project == "shop" else 1)


@pytest.mark.parametrize("project", ["Łódź shop", "日本 shop", "s" + "h" * 127])
def test_a_description_is_one_that_iam_and_lambda_take(project: str) -> None:
    """IAM API Reference, CreateRole, Description, has the pattern; Lambda's, CreateFunction, the shorter length."""
    said = Site.by_settings(made(EVERY[:2], project=project, environment_suffix="e" * 128), EVERY[0]).about(
        "Use"
    )
    assert re.fullmatch(r"[\t\n\r -~\u00a1-\u00ff]{1,256}", said)


def test_operators_leave_room_in_the_buckets_policy_for_its_fence() -> None:
    operators = [f"arn:aws:iam::123456789012:role/{n}{'x' * 180}" for n in range(50)]
    (found,) = {
        each.shorten
        for each in documents(made(EVERY[:1], access={"operators": operators}))
        if each.is_too_large
    }
    assert "access.operators" in found
    assert not any(
        each.is_too_large for each in documents(made(EVERY[:1], access={"operators": operators[:20]}))
    )
