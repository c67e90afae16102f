"""Whatever settings are accepted: each document that the program writes is within AWS's quota, or they are refused.

One region is built of settings with up to thirty: what grows with regions grows in each of them. What stands between
regions (replication, the overview) is built of the same settings without the engine's mocks.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pulumi
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from recorder import Recorder, Run, record, release

from regionshift.infrastructure.dashboards import overview_dashboard
from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.policies.services import ReplicationEnd, replication_statements
from regionshift.infrastructure.policies.statement import FENCE
from regionshift.infrastructure.program import ProviderSettings, environment
from regionshift.infrastructure.site import Site
from regionshift.infrastructure.sizes import documents, measured
from regionshift.infrastructure.worker_rights import foreseen
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.quotas import INLINE_POLICIES, MANAGED_POLICIES, TAGS
from regionshift.settings.regions import REGIONS
from regionshift.settings.rules import broken_rules

ACCOUNT = "123456789012"
# A smaller seed is no simpler example.
FOUND = (Phase.explicit, Phase.reuse, Phase.generate)


def word(dice: Random, letters: str, most: int) -> str:
    return "".join(dice.choices(letters, k=dice.randint(1, most)))


def some_settings(dice: Random) -> dict[str, Any]:
    """Settings as a person may write them, of any partition, with up to 50 entries of all kinds and long names."""
    every = dice.choice([REGIONS["aws"], REGIONS["aws"], REGIONS["aws"], *REGIONS.values()])
    regions = dice.sample(every, dice.choice([1, 2, 10, min(30, len(every))]) % len(every) or 1)
    letters = dice.choice(["abz9", "aZ9 -_/=ü日"])
    long, bucket = dice.choice([8, 128]), dice.choice([5, 40])
    place = dice.choice(["{region}", "x"])

    def key() -> dict[str, Any]:
        return {"kms_key": f"alias/{word(dice, 'ab/-', bucket)}{place}"} if dice.random() < 0.4 else {}

    def objects(n: int) -> dict[str, Any]:
        own = {} if dice.random() < 0.3 else {"bucket": f"b{n}-{word(dice, 'ab9', bucket)}-{{region}}"}
        other = {"source_account": "210987654321"} if own and dice.random() < 0.2 else {}
        return {**own, **other, **key(), "prefix": f"{n}/{word(dice, 'ab/*é日', long)}"}

    def parameters(n: int) -> dict[str, Any]:
        return {"path": f"/p{n}/{place}/{word(dice, 'ab-', long)}", **key()}

    def secrets(n: int) -> dict[str, Any]:
        return {"name": f"{n}/{place}/{word(dice, 'ab-', long)}", **key()}

    def many(entry: Any) -> list[Any]:
        return [entry(n) for n in range(dice.choice([0, 1, 7, 20, 50]))]

    tagged = {"tags": {word(dice, "ab", 60): word(dice, "ab ü", 200)}, "exclude": ["*/*"]}
    operators = [
        f"arn:aws:iam::{ACCOUNT}:role/{word(dice, 'ab/*', long)}" for _ in range(dice.choice([0, 1, 50]))
    ]
    return {
        "project": "a" + word(dice, letters, long - 1),
        "environment": "e" + word(dice, letters, long - 1),
        "account": ACCOUNT,
        "regions": {"primary": regions[0], "secondaries": regions[1:]},
        "network": {
            "vpc_cidr": "10.0.0.0/8", "zones": dice.randint(1, 6), "function_in_vpc": dice.random() < 0.5,
        },
        "access": {"operators": operators},
        "application": {
            "store": dice.choice(["ssm", "secretsmanager"]),
            "config": {word(dice, "abc", 20): word(dice, "x日", dice.choice([10, 900])) for _ in range(3)},
            "secrets": {f"s{n}": {"env": "A"} for n in range(dice.choice([0, 5]))},
        },
        "tags": {f"{n}{word(dice, 'ab', 100)}": word(dice, "ab", 256) for n in range(dice.choice([0, 40]))},
        "carry": {
            "s3": many(objects),
            "ssm": many(parameters),
            "secrets": [*many(secrets), *([tagged] if dice.random() < 0.5 else [])],
        },
    }  # fmt: skip


def accepted(values: dict[str, Any]) -> MigrationConfig | None:
    try:
        config = MigrationConfig.model_validate(values)
    except ValidationError:
        return None
    return None if broken_rules(config) else config


# Before the name, in the ARNs that policies have (Service Authorization Reference, resource types).
BEFORE = {
    "cloudwatch": "log-group:",
    "kms": "key/",
    "lambda": "function:",
    "secretsmanager": "secret:",
    "ssm": "parameter",
}


class Long(Recorder):
    """ARNs and ids as long as AWS makes them."""

    def __init__(self, partition: str, region: str) -> None:
        super().__init__()
        self._begins = f"arn:{partition}:{{kind}}:{region}:{ACCOUNT}:"

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        identity, outputs = super().new_resource(args)
        kind = args.typ.split(":")[1].split("/")[0]
        called = "0" * 36 if kind == "kms" else outputs["name"]
        ending = "-AbCdEf" if kind == "secretsmanager" else ""
        arn = f"{self._begins.format(kind=kind)}{BEFORE.get(kind, '')}{called}{ending}"
        return identity, {**outputs, "arn": args.inputs.get("arn", arn)}


def one_region(config: MigrationConfig, region: str) -> Run:
    values = {"secrets": {name: SecretStr("x") for name in config.application.secrets}}
    zones = {each: tuple(f"{each}{zone}" for zone in "abcdef") for each in config.all_regions}
    made = release(config, zones=zones, **values)
    site = Site(region, made)
    return record(
        lambda: environment({region: made}, provider_settings=ProviderSettings(), links=None),
        Long(site.partition, region),
    )


def require_within_quotas(config: MigrationConfig, region: str) -> None:
    inline, attached = Counter[str](), Counter[str]()
    for one in one_region(config, region).plain:
        for quota, size in measured(one.type, one.inputs):
            assert size <= quota.most, (one.name, quota)
        if one.type == "aws:iam/rolePolicy:RolePolicy":
            inline[one.inputs["role"]] += length(one.policy())
        if one.type == "aws:iam/rolePolicyAttachment:RolePolicyAttachment":
            attached[one.inputs["role"]] += 1
        # The embedded AWS's provider adds one of its own.
        assert (
            len({**Site.by_settings(config, region).default_tags, **one.inputs.get("tags", {})}) < TAGS.most
        )
    assert all(size + len(FENCE) <= INLINE_POLICIES.most for size in inline.values()), inline
    assert all(count <= MANAGED_POLICIES.most for count in attached.values())


def require_links_within_quotas(config: MigrationConfig) -> None:
    sites = [Site.by_settings(config, region) for region in config.all_regions]
    ends = [
        ReplicationEnd(
            site.region,
            f"arn:aws-us-gov:s3:::{site.name(named.DEPLOYMENT_BUCKET)}",
            str(foreseen(site).key),
        )
        for site in sites
    ]
    statements = replication_statements(ends[0], ends[1:], ACCOUNT)
    assert length(statements) + len(FENCE) <= INLINE_POLICIES.most
    body = {"dashboardBody": overview_dashboard(sites[0], sites)}
    assert all(size <= quota.most for quota, size in measured("aws:cloudwatch/dashboard:Dashboard", body))


def require_fit_or_refused(seed: int) -> None:
    dice = Random(seed)
    config = accepted(some_settings(dice))
    if config is None:
        return
    require_links_within_quotas(config)
    refused = [each for each in documents(config) if each.is_too_large]
    if refused:
        assert all(each.shorten for each in refused)
        return
    require_within_quotas(config, dice.choice(config.all_regions))


@given(st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, phases=FOUND)
def test_every_document_is_within_its_quota_or_the_settings_are_refused(seed: int) -> None:
    require_fit_or_refused(seed)


@pytest.mark.thorough  # more of the same
@given(st.integers(0, 2**32))
@settings(max_examples=200, deadline=None, phases=FOUND)
def test_so_it_is_with_many_more(seed: int) -> None:
    require_fit_or_refused(seed)


@pytest.mark.parametrize("project", ["shop", "p" * 128])
def test_thirty_regions_with_twenty_entries_are_not_refused(project: str) -> None:
    every = REGIONS["aws"][:30]
    carry = {
        "s3": [{"bucket": f"media-{n}-{{region}}", "prefix": "a/", "kms_key": f"alias/m{n}"} for n in range(7)],
        "ssm": [{"path": f"/{project}/{n}/{{region}}"} for n in range(7)],
        "secrets": [*({"name": f"shop/{n}/"} for n in range(5)), {"tags": {"App": "x"}, "exclude": ["shop/*"]}],
    }  # fmt: skip
    values = {
        "project": project, "environment": "e" * 128, "account": ACCOUNT, "carry": carry,
        "regions": {"primary": every[0], "secondaries": every[1:]},
        "network": {"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True},
    }  # fmt: skip
    config = accepted(values)
    assert config is not None
    assert not [each.problem for each in documents(config) if each.is_too_large]
    require_links_within_quotas(config)
    require_within_quotas(config, every[1])
