"""A machine that is lost in the middle of a change: another one with the same settings goes on, or takes it back."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_place import ACCOUNT, ON_AWS, SENTINEL, Place, census, settings

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local import emulator
from service_models import record

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.thorough,
    pytest.mark.skipif(bool(ON_AWS), reason="makes a bucket and a key of its own, on the embedded AWS only"),
]
CANARY, OTHER, PRIMARY = "eu-west-1", "ap-southeast-2", "us-east-1"
REGIONS = [PRIMARY, CANARY, OTHER]
ELSEWHERE = "eu-central-1"
BUCKET = "team-state"


@dataclass
class Team:
    """One cloud that outlives every machine, with a bucket for the state and a key for its secrets."""

    cloud: emulator.LocalCloud
    clients: Clients
    folder: Path
    machines: int = 0

    def machine(self, **more: object) -> Place:
        """A machine that was never used: an empty folder with the team's settings."""
        self.machines += 1
        place = Place(self.folder / f"machine-{self.machines}", self.settings(**more))
        place.variables |= {
            "AWS_ACCESS_KEY_ID": self.cloud.access_key,
            "AWS_SECRET_ACCESS_KEY": self.cloud.secret_key,
            "REGIONSHIFT_CA_BUNDLE": str(self.cloud.ca_bundle),
        }
        place.write()
        return place

    def changed(self, place: Place, megabytes: int) -> None:
        """Other settings, to be brought up next."""
        place.settings["function"] = {"memory": megabytes}
        place.write()

    def settings(self, **more: object) -> dict[str, object]:
        return settings(
            state=f"s3://{BUCKET}/{self.folder.name}?region={ELSEWHERE}",
            deployment={"bake": 0},
            **{"state_secrets": f"awskms://alias/team-state?region={ELSEWHERE}", **more},
        )

    def run(self, place: Place, *arguments: str) -> str:
        done = place.run(*arguments, "--endpoint", self.cloud.endpoint)
        assert done.code == 0, done.said
        return done.out

    def kill_at(self, place: Place, step: str) -> None:
        """Start `up` and kill it with all it started when the journal in the bucket says that ``step`` begins."""
        s3 = self.clients.get("s3", ELSEWHERE)
        known = {each["Key"] for each in self._events(s3)}
        process = place.start("up", "--yes", "--endpoint", self.cloud.endpoint)
        until = time.monotonic() + 240
        while time.monotonic() < until and process.poll() is None:
            new = [each["Key"] for each in self._events(s3) if each["Key"] not in known]
            bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in new]
            known.update(new)
            if any(f'"step":"{step}"'.encode() in body for body in bodies):
                break
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def _events(self, s3: object) -> list[dict[str, str]]:
        pages = s3.get_paginator("list_objects_v2").paginate(  # type: ignore[attr-defined]
            Bucket=BUCKET, Prefix=f"{self.folder.name}/journal/"
        )
        return [each for page in pages for each in page.get("Contents", []) if "/runs/" in each["Key"]]

    def memory(self) -> list[int]:
        """What runs in AWS itself: the memory of each region's function."""
        found = []
        for region in REGIONS:
            functions = self.clients.get("lambda", region).list_functions()["Functions"]
            found += [f["MemorySize"] for f in functions if "-migration-" in f["FunctionName"]]
        return found


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """The team's cloud; it goes when the test ends."""
    folder = tmp_path / "cloud"
    record(folder)
    cloud = emulator.up(folder, ACCOUNT)
    key = AccessKey(cloud.access_key, cloud.secret_key)
    clients = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    clients.get("s3", ELSEWHERE).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": ELSEWHERE}
    )
    kms = clients.get("kms", ELSEWHERE)
    kms.create_alias(AliasName="alias/team-state", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    yield Team(cloud, clients, tmp_path / "team")
    emulator.down(folder, wipe=True)


def _lose(place: Place) -> None:
    """Nothing that the machine had is left."""
    shutil.rmtree(place.folder)


@pytest.mark.parametrize("back", [False, True], ids=["finished", "taken back"])
def test_another_machine_goes_on_with_what_a_lost_one_began(team: Team, back: bool) -> None:
    first = team.machine()
    team.run(first, "up", "--yes")
    whole, memory = census(team.clients, REGIONS, "dev"), team.memory()
    team.changed(first, 640)
    team.kill_at(first, "wave-2/apply")
    told = [*first.told]
    _lose(first)

    second = team.machine(function={"memory": 640})
    resume = ["resume", "--yes", "--json", *(["--back"] if back else []), "--endpoint", team.cloud.endpoint]
    held = second.run(*resume)
    assert held.code == 3, held.said  # its lease is a minute long
    assert "--force" in held.said
    done = second.run(*resume, "--force")
    assert done.code == 0, done.said
    assert done.json["outcome"] == ("rolled back" if back else "succeeded")
    assert team.memory() == (memory if back else [640] * 3)
    assert census(team.clients, REGIONS, "dev") == whole
    # What the first machine made is what the second one knows: nothing is left to change, no secret differs.
    if back:
        team.changed(second, memory[0])
    same = second.run("up", "--yes", "--json", "--no-validate", "--endpoint", team.cloud.endpoint)
    assert same.code == 0, same.said
    assert same.json["changes"] == []
    assert [text for text in (*told, *second.told) if SENTINEL in text] == []


def test_a_machine_without_the_key_file_of_the_state_is_told_so(team: Team) -> None:
    first = team.machine(state_secrets=None)
    said = team.run(first, "up", "--yes", "--no-validate")
    assert "only this machine" in " ".join(said.split())
    second = team.machine(state_secrets=None)
    for command in (["up", "--yes"], ["resume", "--yes"], ["status"]):
        refused = second.run(*command, "--endpoint", team.cloud.endpoint)
        assert refused.code == 3, refused.said
        assert "state.key" in refused.err
        assert "state_secrets" in refused.err
    key = ".regionshift/state.key"
    shutil.copy(first.folder / key, second.folder / key)
    same = second.run("up", "--yes", "--json", "--no-validate", "--endpoint", team.cloud.endpoint)
    assert same.code == 0, same.said
    assert same.json["changes"] == []
