"""Killed at any request, in copying or in undoing: nothing is copied twice, nothing is lost, all goes back.

The seed is printed; REGIONSHIFT_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from carrier_world import TARGET, S3Lab, World

from regionshift.carriers.lines import entry_line

OBJECTS = 24
ROUNDS = 30  # each is killed at least twice
REQUESTS = 3 * OBJECTS + 25  # about what such a migration sends


class Victims:
    """Processes that die when told."""

    def __init__(self, world: World, *, kms: bool) -> None:
        self._world = world
        self._kms = kms
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("victim.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, do: str, migration_id: str, lab: S3Lab, at: int, after: bool) -> bool:
        """Do it in a process that dies at the request ``at``; whether it came that far."""
        cloud = self._world.cloud
        job: dict[str, Any] = {
            "do": do,
            "id": migration_id,
            "at": at,
            "after": after,
            "kms": self._kms,
            "entry": entry_line(lab.entry),
            "endpoint": cloud.endpoint,
            "ca_bundle": str(cloud.ca_bundle),
            "access_key": cloud.access_key,
            "secret_key": cloud.secret_key,
            "records": self._world.records_bucket,
            "region": TARGET,
        }
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer in ("killed", "exit 0"), answer
        return answer == "killed"

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


@pytest.fixture(params=["MD5 as etag", "etags as under KMS"])
def victims(world: World, request: pytest.FixtureRequest) -> Iterator[Victims]:
    kms = "KMS" in request.param
    if kms:
        world.under_kms()
    victims = Victims(world, kms=kms)
    yield victims
    victims.end()


def test_killed_at_any_moment(world: World, victims: Victims) -> None:
    seed = int(os.environ.get("REGIONSHIFT_SEED", random.SystemRandom().randrange(10**6)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    lab = S3Lab(world)
    for number in range(OBJECTS):
        lab.write("source", f"{number:02d}", f"new {number}")
        if number % 3:
            lab.write("target", f"{number:02d}", f"earlier {number}")
    before = world.versions(lab.target)
    deaths = 0

    for round_number in range(ROUNDS):
        migration_id = f"m{round_number}"
        for _ in range(chance.choice((1, 1, 2, 3))):
            deaths += victims.run(
                "migrate", migration_id, lab, chance.randrange(REQUESTS), chance.random() < 0.5
            )
        if chance.random() < 0.7:
            done = world.migrations.migrate(migration_id, [lab.entry])
            assert done["status"] == "completed", (seed, round_number, done["problems"])
            nothing_twice(before, world.versions(lab.target), seed)
        elif not world.store.exists(f"migrations/{migration_id}/metadata.json"):
            continue
        deaths += victims.run("rollback", migration_id, lab, chance.randrange(12), chance.random() < 0.5)
        world.migrations.rollback(migration_id)
        assert world.versions(lab.target) == before, (seed, round_number)
    assert deaths >= 50, (seed, deaths)


def nothing_twice(before: list[Any], after: list[Any], seed: int) -> None:
    earlier, now = Counter(key for key, *_ in before), Counter(key for key, *_ in after)
    assert {key: now[key] - earlier[key] for key in now} == dict.fromkeys(
        (f"out/{number:02d}" for number in range(OBJECTS)), 1
    ), seed
    assert {line[:2] for line in before} <= {line[:2] for line in after}
