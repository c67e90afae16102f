"""The embedded AWS as a process: started, found, stopped, killed, disturbed."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.errors import AwsFailed
from regionshift.errors import InputError, Refused
from regionshift.local import emulator
from regionshift.local.emulator import LocalCloud
from regionshift.local.process import end

ACCOUNT = "210987654321"
REGION = "eu-west-1"

UP = """
import json, sys
from pathlib import Path
from regionshift.local import emulator
cloud = emulator.up(Path(sys.argv[1]), sys.argv[2])
print(json.dumps([cloud.pid, cloud.endpoint]))
"""


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "cloud"
    yield folder
    emulator.down(folder, wipe=True)


def clients_of(cloud: LocalCloud) -> Clients:
    key = AccessKey(cloud.access_key, cloud.secret_key)
    return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)


def up_elsewhere(state_dir: Path, **variables: str) -> list[object]:
    """Starts the cloud from another process, with these environment variables."""
    done = subprocess.run(
        [sys.executable, "-c", UP, str(state_dir), ACCOUNT],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[object] = json.loads(done.stdout)
    return found


def kill(cloud: LocalCloud) -> None:
    process = psutil.Process(cloud.pid)
    process.kill()
    process.wait()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.1)


def port_of(cloud: LocalCloud) -> int:
    return int(cloud.endpoint.rsplit(":", 1)[1])


def test_up_again_finds_the_same_cloud(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    assert emulator.up(state_dir, ACCOUNT) == emulator.status(state_dir) == cloud
    assert clients_of(cloud).call(REGION, "sts", "get_caller_identity")["Account"] == ACCOUNT


def test_the_administrator_is_a_user_that_policies_apply_to(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    identity = clients_of(cloud).call(REGION, "sts", "get_caller_identity")
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/regionshift-admin"
    assert cloud.secret_key not in repr(cloud)


def test_what_was_made_is_there_after_a_restart(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    clients = clients_of(cloud)
    clients.call(REGION, "ssm", "put_parameter", Name="/kept", Value="yes", Type="String")
    # The connection of ``clients`` is still open; stopping waits for nobody and saves all the same.
    assert emulator.down(state_dir) is True
    again = emulator.up(state_dir, ACCOUNT)
    assert (again.endpoint, again.access_key) == (cloud.endpoint, cloud.access_key)
    found = clients_of(again).call(REGION, "ssm", "get_parameter", Name="/kept")
    assert found["Parameter"]["Value"] == "yes"


def test_down_is_idempotent(state_dir: Path) -> None:
    assert emulator.down(state_dir) is False
    emulator.up(state_dir, ACCOUNT)
    assert [emulator.down(state_dir), emulator.down(state_dir)] == [True, False]
    assert emulator.status(state_dir) is None


def test_down_waits_no_longer_for_one_that_ended_and_that_its_parent_does_not_ask_about(
    state_dir: Path,
) -> None:
    emulator.up(state_dir, ACCOUNT)  # this process is its parent
    down = "from pathlib import Path; from regionshift.local import emulator, process; process.STOP_WITHIN = 1e6; "
    down += f"assert emulator.down(Path({str(state_dir)!r}))"
    subprocess.run([sys.executable, "-c", down], check=True, timeout=60)
    assert emulator.status(state_dir) is None


def test_wipe_leaves_nothing(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    assert emulator.down(state_dir, wipe=True) is True
    assert not state_dir.exists()
    assert not psutil.pid_exists(cloud.pid)
    assert emulator.down(state_dir, wipe=True) is False


def test_ups_at_the_same_time_give_one_cloud(state_dir: Path) -> None:
    with ThreadPoolExecutor(max_workers=3) as pool:
        found = list(pool.map(lambda _: up_elsewhere(state_dir), range(3)))
    assert found[0] == found[1] == found[2]
    assert emulator.status(state_dir) is not None


def test_after_a_kill_the_next_up_gives_a_working_cloud(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    kill(cloud)
    assert emulator.status(state_dir) is None
    again = emulator.up(state_dir, ACCOUNT)
    clients = clients_of(again)
    assert clients.call(REGION, "sts", "get_caller_identity")["Account"] == ACCOUNT
    location = {"LocationConstraint": REGION}
    clients.call(REGION, "s3", "create_bucket", Bucket="works", CreateBucketConfiguration=location)


def test_a_killed_cloud_comes_back_as_it_was_when_it_last_fell_quiet(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    clients = clients_of(cloud)
    clients.call(REGION, "ssm", "put_parameter", Name="/kept", Value="yes", Type="String")
    saved = state_dir / "services" / "ssm.json"
    wait_until(lambda: saved.exists() and "/kept" in saved.read_text())
    kill(cloud)
    again = emulator.up(state_dir, ACCOUNT)
    assert again.access_key == cloud.access_key
    found = clients_of(again).call(REGION, "ssm", "get_parameter", Name="/kept")
    assert found["Parameter"]["Value"] == "yes"


def test_a_process_that_got_the_same_id_is_not_the_cloud(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    emulator.down(state_dir)
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        record = json.loads((state_dir / "cloud.json").read_text())
        record |= {"pid": bystander.pid, "started": 1.0}
        (state_dir / "cloud.json").write_text(json.dumps(record))
        assert emulator.status(state_dir) is None
        assert emulator.down(state_dir) is False
        assert bystander.poll() is None
        assert emulator.up(state_dir, ACCOUNT).access_key == cloud.access_key
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.communicate()


def test_a_broken_record_is_made_anew(state_dir: Path) -> None:
    emulator.up(state_dir, ACCOUNT)
    emulator.down(state_dir)
    (state_dir / "cloud.json").write_text('{"account": "2109')
    again = emulator.up(state_dir, ACCOUNT)
    assert clients_of(again).call(REGION, "sts", "get_caller_identity")["Account"] == ACCOUNT


def test_a_port_taken_by_somebody_else_is_given_up(state_dir: Path) -> None:
    first = emulator.up(state_dir, ACCOUNT)
    emulator.down(state_dir)
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", port_of(first)))
        somebody.listen()
        second = emulator.up(state_dir, ACCOUNT)
        assert port_of(second) != port_of(first)
        assert clients_of(second).call(REGION, "sts", "get_caller_identity")["Account"] == ACCOUNT


def test_a_port_that_was_asked_for_and_is_taken_is_refused(state_dir: Path) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        with pytest.raises(InputError, match="is taken"):
            emulator.up(state_dir, ACCOUNT, somebody.getsockname()[1])
    assert emulator.status(state_dir) is None


def test_a_running_cloud_does_not_change_its_port(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    assert emulator.up(state_dir, ACCOUNT, port_of(cloud)) == cloud
    with pytest.raises(InputError, match="already runs"):
        emulator.up(state_dir, ACCOUNT, port_of(cloud) + 1)


def test_a_cloud_belongs_to_one_account(state_dir: Path) -> None:
    emulator.up(state_dir, ACCOUNT)
    with pytest.raises(Refused, match="belongs to account 210987654321, not 123456789012"):
        emulator.up(state_dir, "123456789012")


def test_it_listens_on_one_port_of_the_loopback_only(state_dir: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    listening = {
        (one.laddr.ip, one.laddr.port)
        for one in psutil.Process(cloud.pid).net_connections("all")
        if one.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", port_of(cloud))}


def test_other_users_of_the_machine_can_read_nothing(state_dir: Path) -> None:
    emulator.up(state_dir, ACCOUNT)
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    open_to_others = [
        path.name
        for path in (
            state_dir / "cloud.json",
            state_dir / "emulator.log",
            *(state_dir / "tls").iterdir(),
        )
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []


def test_nothing_of_the_users_surroundings_reaches_the_cloud(state_dir: Path) -> None:
    pid, _ = up_elsewhere(
        state_dir,
        AWS_PROFILE="does-not-exist",
        AWS_ACCESS_KEY_ID="AKIAREALREALREALREAL",
        AWS_SECRET_ACCESS_KEY="real",
        AWS_ENDPOINT_URL="https://somewhere.example",
        AWS_CA_BUNDLE="/does/not/exist.pem",
        SSL_CERT_FILE="/does/not/exist.pem",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    assert isinstance(pid, int)
    variables = psutil.Process(pid).environ()
    assert "real" not in json.dumps(variables).lower().split('"')
    assert {"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "HTTPS_PROXY"}.isdisjoint(variables)
    cloud = emulator.status(state_dir)
    assert cloud is not None
    assert variables["AWS_CA_BUNDLE"] == str(cloud.ca_bundle)


def test_nobody_else_can_pass_for_the_cloud(state_dir: Path, tmp_path: Path) -> None:
    cloud = emulator.up(state_dir, ACCOUNT)
    other_dir = tmp_path / "other"
    other = emulator.up(other_dir, ACCOUNT)
    try:
        key = AccessKey(cloud.access_key, cloud.secret_key)
        fooled = Clients(key=key, endpoint=other.endpoint, ca_bundle=cloud.ca_bundle)
        with pytest.raises(AwsFailed) as caught:
            fooled.call(REGION, "sts", "get_caller_identity")
        assert caught.value.code == "SSLError"
    finally:
        emulator.down(other_dir, wipe=True)


def test_it_is_wiped_while_something_in_it_removes_itself(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that was at work ends a moment after its cloud, and takes its files with it."""
    for name in ("a", "b", "c"):
        (state_dir / "tmp" / name).mkdir(parents=True)
        (state_dir / "tmp" / name / "worker").touch()
    rmdir, left = os.rmdir, ["c"]

    def beside(path: str, **where: int) -> None:
        while left and path not in left:
            other = state_dir / "tmp" / left.pop()
            (other / "worker").unlink(missing_ok=True)
            rmdir(other)
        rmdir(path, **where)

    monkeypatch.setattr(os, "rmdir", beside)
    emulator.down(state_dir, wipe=True)
    assert not state_dir.exists()


def test_a_process_that_ended_by_itself_is_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    child.communicate(b"\n")
    end(process)
