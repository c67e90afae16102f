"""What the command refuses, and with which exit code; nothing is touched."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from e2e_place import COMMAND, Place

from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder, LeaseTerms, acquire
from regionshift.journal.sealing import key_from_file
from regionshift.journal.store import StateStore

pytestmark = pytest.mark.e2e
# Typer itself imports pydantic; our settings, which need it too, are not read for help.
HEAVY = {
    "boto3",
    "botocore",
    "pulumi",
    "pulumi_aws",
    "grpc",
    "ministack",
    "obstore",
    "rich",
    "regionshift.settings",
}


@pytest.fixture(scope="module")
def place(make_place: Callable[..., Place]) -> Place:
    return make_place()


def test_a_wrong_file_tells_every_mistake_at_once(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("projct: x\naccount: 12\ntarget: moon\nregions: {primary: us-eest-1}\n")
    done = place.run("up", "--yes", "--config", str(file))
    assert done.code == 2
    for part in ("projct", "account", "target", "us-east-1", "environment", "network"):
        assert part in done.err
    assert not (tmp_path / ".regionshift").exists()
    shown = place.run("up", "--yes", "--json", "--config", str(file))
    assert shown.code == 2
    error = shown.json["error"]
    assert error["exit_code"] == 2
    assert len(error["mistakes"]) >= 5


def test_a_missing_file_and_a_wrong_option_are_wrong_input(place: Place, tmp_path: Path) -> None:
    assert place.run("validate", "--config", str(tmp_path / "none.yaml")).code == 2
    assert place.run("up", "--no-such-option").code == 2
    assert place.run("no-such-command").code == 2


def test_another_account_is_refused(place: Place) -> None:
    assert place.run("local", "up").code == 0
    done = place.run("up", "--yes", "--account", "210987654321")
    assert done.code == 3, done.said
    assert "210987654321" in done.err
    assert "123456789012" in done.err


def test_an_endpoint_elsewhere_is_refused(place: Place) -> None:
    done = place.run("up", "--yes", "--endpoint", "https://aws.example.com")
    assert done.code == 3, done.said
    assert "must be on this machine" in done.err


def test_nothing_is_changed_without_a_yes(place: Place) -> None:
    done = place.run("up")
    assert done.code == 3, done.said
    assert "--yes" in done.err
    assert place.run("outputs").code == 1


@pytest.mark.parametrize("how", ["prod by default", "set"])
def test_a_protected_environment_is_not_destroyed(place: Place, how: str) -> None:
    changed = {"environment": "prod"} if how == "prod by default" else {"protect": True}
    other = Place(place.folder, {**place.settings, **changed})
    (place.folder / "protected.yaml").write_text(json.dumps(other.settings))
    done = other.run("destroy", "--yes", "--config", "protected.yaml")
    assert done.code == 3, done.said
    assert "protected" in done.err


def test_a_missing_secret_is_wrong_input_and_named(place: Place) -> None:
    other = Place(place.folder, place.settings, variables={})
    done = other.run("preview")
    assert done.code == 2, done.said
    assert "ORDERS_TOKEN" in done.said


def test_doctor_finds_nothing_in_the_way(place: Place) -> None:
    done = place.run("doctor", "--json")
    assert done.code == 0, done.said
    assert done.json["findings"] == []


def test_a_role_of_the_embedded_aws_is_there_and_for_the_local_target(place: Place) -> None:
    done = place.run("preview", REGIONSHIFT_LOCAL_ROLE="nobody")
    assert done.code == 2, done.said
    assert "no role nobody" in done.err
    done = place.run("preview", "--target", "aws", REGIONSHIFT_LOCAL_ROLE="nobody")
    assert done.code == 2, done.said
    assert "target is aws" in done.err


def test_a_command_and_its_engine_work_as_the_role_that_is_named(place: Place) -> None:
    """All but one right, and none to ask what it may: so what the engine makes is the first to be refused."""
    iam, trust = place.clients.get("iam", "us-east-1"), {"Effect": "Allow", "Action": "sts:AssumeRole"}
    trust["Principal"] = {"AWS": "123456789012"}  # type: ignore[assignment]
    iam.create_role(RoleName="tried", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    all_but = {"Effect": "Allow", "NotAction": ["sns:CreateTopic", "iam:Simulate*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [all_but]})
    iam.put_role_policy(RoleName="tried", PolicyName="tried", PolicyDocument=policy)
    other = Place(
        place.folder, {**place.settings, "environment": "tried", "regions": {"primary": "us-east-1"}}
    )
    (place.folder / "tried.yaml").write_text(json.dumps(other.settings))
    done = other.run("up", "--yes", "--config", "tried.yaml", REGIONSHIFT_LOCAL_ROLE="tried")
    assert done.code == 1, done.said
    assert "assumed-role/tried/regionshift" in "".join(done.said.split())
    assert "sns:createtopic" in done.said.lower()
    # Whoever comes after has another key, and finds the same environment.
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**all_but, "NotAction": "iam:Simulate*"}]})
    iam.put_role_policy(RoleName="tried", PolicyName="tried", PolicyDocument=policy)
    done = other.run("resume", "--yes", "--config", "tried.yaml", REGIONSHIFT_LOCAL_ROLE="tried")
    assert done.code == 0, done.said
    done = other.run(
        "up", "--yes", "--json", "--no-validate", "--config", "tried.yaml", REGIONSHIFT_LOCAL_ROLE="tried"
    )
    assert done.code == 0, done.said
    assert done.json["changes"] == []


def test_doctor_says_that_no_engine_is_there(place: Place) -> None:
    script = "import sys; sys.prefix = '/nowhere'; from regionshift.cli import main; main()"
    variables = {"PATH": "/usr/bin:/bin", **place.variables}
    for command in ("preview", "doctor"):
        done = subprocess.run(
            [sys.executable, "-c", script, command, "--json"],
            cwd=place.folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["code"], finding["severity"]) == ("engine", "error")
    assert finding["remedy"]


def test_doctor_says_that_the_state_is_out_of_reach(place: Place) -> None:
    done = place.run("doctor", "--json", REGIONSHIFT_STATE="file:///proc/nothing/state")
    assert done.code == 1, done.said
    assert [each["code"] for each in done.json["findings"]] == ["state"]


@contextmanager
def held_by(place: Place, host: str) -> Iterator[StateStore]:
    """The environment's lock, held by this process, which calls its machine ``host``."""
    store = open_state((place.folder / ".regionshift/state").as_uri())
    me = Holder("ann", host, os.getpid(), datetime.now(UTC), uuid.uuid4().hex)
    with acquire(store, "orders.dev", me, LeaseTerms(time.monotonic)):
        yield store


def test_doctor_says_who_holds_the_lock(place: Place) -> None:
    with held_by(place, "laptop"):
        done = place.run("doctor", "--json")
    assert done.code == 3, done.said
    (finding,) = done.json["findings"]
    assert finding["code"] == "lock"
    assert "ann on laptop" in finding["message"]


def test_the_lock_of_a_process_that_lives_here_is_not_broken(place: Place) -> None:
    with held_by(place, socket.gethostname()) as store:
        key = key_from_file(place.folder / ".regionshift/state.key")
        journal = Journal(store, "orders.dev", lambda: datetime.now(UTC), key=key)
        run = journal.start("deployment", {})
        done = place.run("preview", "--force", "--yes")
        assert done.code == 3, done.said
        assert f"process {os.getpid()}" in done.err
        assert "alive" in done.err
        assert [view.run_id for view in journal.unfinished()] == [run.run_id]
        run.close("succeeded")


def test_the_lock_of_another_machine_is_broken_when_its_holder_was_shown_and_agreed_to(place: Place) -> None:
    with held_by(place, "far.example"):
        unsure = place.run("preview", "--force")
        assert unsure.code == 3, unsure.said
        assert "ann on far.example" in unsure.out
        sure = place.run("preview", "--force", "--yes")
        assert sure.code == 0, sure.said
        assert "ann on far.example" in sure.out


def test_a_run_that_nobody_sealed_is_told_and_not_acted_on_until_somebody_takes_it(place: Place) -> None:
    store = open_state((place.folder / ".regionshift/state").as_uri())
    forged = Journal(store, "orders.dev", lambda: datetime.now(UTC), by="mallory")
    forged.start("deployment", {"releases": {}}).close("succeeded")
    assert any(run["by"] == "mallory" for run in place.run("history", "--json").json)
    refused = place.run("preview")
    assert refused.code == 3, refused.said
    assert "history --seal" in refused.said
    doctor = place.run("doctor", "--json")
    assert [finding["code"] for finding in doctor.json["findings"]] == ["journal"], doctor.said
    unsure = place.run("history", "--seal")
    assert unsure.code == 3, unsure.said
    assert "mallory" in unsure.out
    assert place.run("history", "--seal", "--yes").code == 0
    assert place.run("preview").code == 0


@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_plan_fits_the_terminal(place: Place, columns: str) -> None:
    done = place.run("preview", COLUMNS=columns)
    assert done.code == 0, done.said
    assert max(map(len, done.out.splitlines())) <= int(columns)


@pytest.mark.parametrize("command", [[], ["up"], ["validate"], ["local", "status"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    script = (
        "import sys\n"
        "sys.argv = ['regionshift', *sys.argv[1:], '--help']\n"
        "from regionshift.cli import command\n"
        "assert command() == 0\n"
        "print('|'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=True
    )
    assert "Usage" in done.stdout
    assert HEAVY & set(done.stderr.split("|")) == set()


def test_the_command_says_its_version() -> None:
    done = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("regionshift ")
