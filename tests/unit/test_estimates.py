"""What a plan is said to take grows with the bytes, the parts and the proof, not with the items alone."""

from __future__ import annotations

import pytest

from regionshift.carriers.carrier import Cost, DataLocation, Entry, Item, ItemState, Level, SourceVersion
from regionshift.carriers.kinds import KINDS
from regionshift.carriers.plan import EntryPlan, MigrationPlan
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


def about(sizes: list[int], level: Level) -> Estimate:
    """The estimate for objects of these sizes, in batches of 250."""
    entry = Entry("s3", DataLocation("us-east-1", "from"), DataLocation("eu-west-1", "to"))
    cost = Cost()
    for number, size in enumerate(sizes):
        KINDS["s3"].reckon(cost, Item(str(number), ItemState.NEW, (SourceVersion("v", "e", size),)), level)
        if number % 250 == 0:
            cost.batch()
    part = EntryPlan(entry, {"new": len(sizes)}, sum(sizes), 0, 1, cost, "")
    return estimate(CONFIG, MigrationPlan("m", level, (part,)))


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
