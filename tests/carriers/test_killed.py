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
from carrier_world import TARGET, Lab, S3Lab, SecretsLab, SsmLab, World
from hypothesis import settings

from regionshift.carriers.lines import entry_line

OBJECTS = 24
# Ten in `make test`, fifty in `make test-all`; each run of either kills at other requests.
DEATHS = max(10, settings.default.max_examples - 50)
REQUESTS = 3 * OBJECTS + 25  # about what such a migration sends


class Victims:
    """Processes that die when told."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("victim.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, do: str, migration_id: str, lab: Lab, at: int, after: bool) -> bool:
        """Do it in a process that dies at the request ``at``; whether it came that far."""
        cloud = self._world.cloud
        job: dict[str, Any] = {
            "do": do,
            "id": migration_id,
            "at": at,
            "after": after,
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
    if "KMS" in request.param:
        world.under_kms()
    victims = Victims(world)
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

    for round_number in range(DEATHS):
        if deaths >= DEATHS:
            break
        migration_id = f"m{round_number}"
        for _ in range(chance.choice((1, 1, 2, 3))):
            deaths += victims.run(
                "migrate", migration_id, lab, chance.randrange(REQUESTS), chance.random() < 0.5
            )
        if chance.random() < 0.7:
            done = world.migrations.of(migration_id).migrate([lab.entry])
            assert done["status"] == "completed", (seed, round_number, done["problems"])
            nothing_twice(before, world.versions(lab.target), seed)
        elif not world.store.exists(f"migrations/{migration_id}/metadata.json"):
            continue
        deaths += victims.run("rollback", migration_id, lab, chance.randrange(12), chance.random() < 0.5)
        world.migrations.of(migration_id).rollback()
        assert world.versions(lab.target) == before, (seed, round_number)
    assert deaths >= DEATHS, (seed, deaths)


NAMES = [f"{letter}{number}" for letter in "ak" for number in range(3)]
# About as many requests as carrying and proving one takes; a kill that comes too late kills nobody.
OF_A_NAME = {"ssm": 10, "secrets": 22}


def parameters_there(lab: SsmLab) -> dict[str, Any]:
    """What readers see, and how often each was written."""
    return {name: (*seen, version_of(lab, name)) for name, seen in lab.look("target").items()}


def version_of(lab: SsmLab, name: str) -> int:
    ssm = lab.world.clients.get("ssm", TARGET)
    return int(ssm.get_parameter(Name=lab.entry.target.prefix + name)["Parameter"]["Version"])


def secrets_there(lab: SecretsLab) -> dict[str, Any]:
    """What readers see, and every label."""
    vault, there = lab.world.clients.get("secretsmanager", TARGET), lab.look("target")
    stages = {
        name: vault.describe_secret(SecretId=lab.entry.target.prefix + name)["VersionIdsToStages"]
        for name in there
    }
    return {
        name: (*seen, sorted((version, sorted(labels)) for version, labels in stages[name].items()))
        for name, seen in there.items()
    }


@pytest.mark.parametrize("victims", ["MD5 as etag"], indirect=True)
@pytest.mark.parametrize("kind", [SsmLab, SecretsLab])
def test_parameters_and_secrets_killed_at_any_moment(
    world: World, victims: Victims, kind: type[SsmLab | SecretsLab]
) -> None:
    seed = int(os.environ.get("REGIONSHIFT_SEED", random.SystemRandom().randrange(10**6)))
    print(f"seed {seed}")
    chance = random.Random(seed)
    lab = kind(world)
    for number, name in enumerate(NAMES):
        lab.write("source", name, f"new {name}")
        for value in ("older", "earlier")[: number % 3]:
            lab.write("target", name, value)
    before = lab.look("target") if isinstance(lab, SsmLab) else secrets_there(lab)
    most = len(NAMES) * OF_A_NAME[lab.entry.kind]
    deaths = 0

    for round_number in range(DEATHS):
        if deaths >= DEATHS:
            break
        migration_id = f"m{round_number}"
        written = parameters_there(lab) if isinstance(lab, SsmLab) else {}
        for _ in range(chance.choice((2, 2, 3))):
            deaths += victims.run("migrate", migration_id, lab, chance.randrange(most), chance.random() < 0.5)
        if chance.random() < 0.7:
            done = world.migrations.of(migration_id).migrate([lab.entry])
            assert done["status"] == "completed", (seed, round_number, done["problems"])
            written_once(lab, written, seed)
        elif not world.store.exists(f"migrations/{migration_id}/metadata.json"):
            continue
        deaths += victims.run(
            "rollback", migration_id, lab, chance.randrange(most // 2), chance.random() < 0.5
        )
        world.migrations.of(migration_id).rollback()
        now = lab.look("target") if isinstance(lab, SsmLab) else secrets_there(lab)
        assert now == before, (seed, round_number)
    assert deaths >= DEATHS, (seed, deaths)


def written_once(lab: SsmLab | SecretsLab, written: dict[str, Any], seed: int) -> None:
    """Every item is there as at the source, and was written once since."""
    assert lab.look("target") == lab.look("source"), seed
    for name in NAMES if isinstance(lab, SsmLab) else ():
        assert version_of(lab, name) == written.get(name, (0,))[-1] + 1, (seed, name)


def nothing_twice(before: list[Any], after: list[Any], seed: int) -> None:
    earlier, now = Counter(key for key, *_ in before), Counter(key for key, *_ in after)
    assert {key: now[key] - earlier[key] for key in now} == dict.fromkeys(
        (f"out/{number:02d}" for number in range(OBJECTS)), 1
    ), seed
    assert {line[:2] for line in before} <= {line[:2] for line in after}
