"""What a plan is said to take grows with the bytes, the parts and the proof, not with the items alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from regionshift.aws.errors import AwsFailed
from regionshift.carriers.carrier import Cost, DataLocation, Entry, Item, ItemState, Level, SourceVersion
from regionshift.carriers.kinds import KINDS
from regionshift.carriers.plan import EntryPlan, MigrationPlan
from regionshift.operations.migrations.carrying import Carrying, Workers
from regionshift.operations.migrations.estimating import Estimate, estimate
from regionshift.settings.config import MigrationConfig

KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12
CONFIG = MigrationConfig.model_validate(
    {
        "project": "shop",
        "environment": "dev",
        "account": "111122223333",
        "target": "aws",
        "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1"]},
        "network": {"vpc_cidr": "10.0.0.0/8"},
    }
)


def about(sizes: list[int], level: Level, workers: int = 40) -> Estimate:
    """The estimate for objects of these sizes, in batches of 250."""
    entry = Entry("s3", DataLocation("us-east-1", "from"), DataLocation("eu-west-1", "to"))
    cost = Cost()
    for number, size in enumerate(sizes):
        KINDS["s3"].add_cost(cost, Item(str(number), ItemState.NEW, (SourceVersion("v", "e", size),)), level)
        if number % 250 == 0:
            cost.batch()
    part = EntryPlan(entry, {"new": len(sizes)}, sum(sizes), 0, 1, cost, "")
    return estimate(CONFIG, MigrationPlan("m", level, (part,)), Workers(workers, 40))


def test_small_objects_cost_their_requests() -> None:
    pinned = about([KB] * 10_000, Level.PINNED)
    assert 10_000 <= pinned.requests <= 10_500
    assert pinned.usd == pytest.approx(0.05, rel=0.05)
    full = about([KB] * 10_000, Level.FULL)
    assert 3 * pinned.requests < full.requests <= 5.1 * pinned.requests
    assert full.seconds > pinned.seconds


def test_one_very_large_object_is_copied_in_parts_and_takes_hours() -> None:
    found = about([5 * TB], Level.PINNED)
    assert found.requests >= 5 * TB // (512 * 1024**2)
    assert found.seconds > 3600
    assert found.usd == pytest.approx(5000 * 0.02, rel=0.01)


def test_proving_it_in_full_may_move_it_a_second_time_and_read_it_in_steps() -> None:
    pinned, full = about([5 * TB], Level.PINNED), about([5 * TB], Level.FULL)
    assert full.read == 5 * TB
    assert full.requests - pinned.requests >= 2 * 5 * TB // (8 * 1024**2)
    assert full.usd > 2 * pinned.usd
    assert full.seconds > 10 * pinned.seconds


def test_bytes_count_though_each_object_is_small() -> None:
    large, small = about([100 * MB] * 10_000, Level.PINNED), about([KB] * 10_000, Level.PINNED)
    assert large.seconds > 10 * small.seconds
    assert about([MB] * 100_000, Level.FULL).usd == pytest.approx(100 * 0.04 + 0.5 + 0.16, rel=0.05)


def test_nothing_to_copy_takes_nothing() -> None:
    assert about([], Level.FULL).seconds == 0


def test_with_room_for_fewer_workers_it_takes_longer_but_not_for_one_object() -> None:
    many = about([KB] * 100_000, Level.PINNED)
    assert about([KB] * 100_000, Level.PINNED, workers=5).seconds > 7 * many.seconds
    one = about([5 * TB], Level.FULL)
    assert about([5 * TB], Level.FULL, workers=5).seconds == one.seconds


@dataclass
class Account:
    """What Lambda says of an account, in the shape of its API Reference; or why it says nothing."""

    total: int = 1000
    unreserved: int = 1000
    problem: AwsFailed | None = None

    def call(self, region: str, service: str, operation: str) -> dict[str, Any]:
        assert (region, service, operation) == ("eu-west-1", "lambda", "get_account_settings")
        if self.problem:
            raise self.problem
        limit = {"ConcurrentExecutions": self.total, "UnreservedConcurrentExecutions": self.unreserved}
        return {"AccountLimit": limit, "AccountUsage": {}}

    def workers(self) -> Workers:
        environment: Any = cast(Any, type("Environment", (), {"config": CONFIG, "clients": self}))
        nothing = cast(Any, None)
        return Carrying(environment, nothing, nothing, nothing, nothing).workers("eu-west-1")


@pytest.mark.parametrize(
    ("unreserved", "number"), [(1000, 40), (80, 40), (79, 39), (10, 5), (3, 1), (1, 1), (0, 1)]
)
def test_half_of_the_accounts_room_is_left_to_others(unreserved: int, number: int) -> None:
    found = Account(1000, unreserved).workers()
    assert (found.number, found.most) == (number, 40)
    assert bool(found.why) == (number < 40)


def test_a_new_accounts_plan_says_why_it_takes_longer() -> None:
    why = Account(10, 10).workers().why
    assert why.startswith("5 of 40 workers copy at once: the account runs 10 functions at once in eu-west-1")
    assert "Service Quotas" in why


def test_who_may_not_see_the_accounts_room_is_told_and_copies_all_the_same() -> None:
    denied = AwsFailed(
        "no permission to do lambda:GetAccountSettings", code="AccessDeniedException", where=None, remedy=None
    )
    found = Account(problem=denied).workers()
    assert found.number == 40
    assert "lambda:GetAccountSettings" in found.why
