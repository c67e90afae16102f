"""Two environments never meet: exact names are kept, targets have a place each, folders of any name work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from urllib.parse import urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from regionshift.aws.clients import Clients
from regionshift.aws.guard import require_aws
from regionshift.cli import settle, without_proxy
from regionshift.cli.doctor import terminal_findings
from regionshift.errors import Refused
from regionshift.journal.backends import FileStore, open_state
from regionshift.journal.identity import forget, is_written, require_same, write_down
from regionshift.journal.store import Stored
from regionshift.session import open_session
from regionshift.settings.names import Identity, Names, holds_region
from regionshift.settings.regions import all_regions
from regionshift.settings.state_url import folder_of, parse_state_url
from regionshift.surroundings import Surroundings, user_name

ACCOUNT = "123456789012"
SMALLEST = """\
project: shop
environment: dev
account: "123456789012"
target: local
regions: {primary: us-east-1}
network: {vpc_cidr: 10.0.0.0/16}
"""


@pytest.mark.parametrize(
    ("one", "other"), [("feature/SED-1", "feature-sed-1"), ("PR_42/x", "pr-42-x"), ("Dev", "dev")]
)
def test_names_that_become_one_are_refused_to_the_second(tmp_path: Path, one: str, other: str) -> None:
    store = open_state(tmp_path.as_uri())
    first, second = (Identity("shop", name, "local", ACCOUNT) for name in (one, other))
    assert first.scope == second.scope
    write_down(store, first, _held)
    store.create(f"journal/{first.scope}/runs/000001/00000001.json", b"{}")
    require_same(store, first)
    for attempt in (lambda: require_same(store, second), lambda: write_down(store, second, _held)):
        with pytest.raises(Refused) as refused:
            attempt()
        assert one in str(refused.value)
        assert other in str(refused.value)
    forget(store, first)
    # The environment is gone, its runs are told still, and they bind nobody to its names.
    write_down(store, second, _held)
    require_same(store, first)
    store.create(f"journal/{first.scope}/runs/000002/00000001.json", b"{}")
    with pytest.raises(Refused):
        require_same(store, first)


def _held() -> None:
    return


def test_what_was_written_down_stays_as_it_is_once_a_run_was_begun(tmp_path: Path) -> None:
    store = open_state(tmp_path.as_uri())
    identity = Identity("shop", "dev", "local", ACCOUNT)
    write_down(store, identity, _held)
    assert not is_written(store, identity)
    store.create(f"journal/{identity.scope}/runs/000001/00000001.json", b"{}")
    assert is_written(store, identity)
    write_down(store, identity, _held)
    assert is_written(store, identity)


def test_who_lost_the_lock_writes_nothing_down_and_the_record_of_a_killed_command_binds_nobody(
    tmp_path: Path,
) -> None:
    store = open_state(tmp_path.as_uri())
    first, second = (Identity("shop", name, "local", ACCOUNT) for name in ("Dev", "dev"))

    def lost() -> None:
        raise Refused("the lock is lost")

    with pytest.raises(Refused, match="lost"):
        write_down(store, first, lost)
    assert store.keys("identity") == []
    write_down(store, first, _held)
    require_same(store, second)
    write_down(store, second, _held)
    store.create(f"journal/{first.scope}/runs/000001/00000001.json", b"{}")
    with pytest.raises(Refused):
        require_same(store, first)


class _ReadTogether(FileStore):
    """Two read what is not there yet before either writes."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._both = Barrier(2)

    def get(self, key: str) -> Stored | None:
        found = super().get(key)
        if found is None:
            self._both.wait(10)
        return found


def test_of_two_first_commands_at_once_one_makes_the_environment(tmp_path: Path) -> None:
    store = _ReadTogether(tmp_path)

    def first_up(name: str) -> bool:
        try:
            write_down(store, Identity("shop", name, "local", ACCOUNT), _held)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(first_up, ("dev", "Dev"))) == [False, True]


@pytest.mark.parametrize("account", [ACCOUNT, "210987654321"])
@pytest.mark.parametrize("target", ["local", "aws"])
@pytest.mark.parametrize("asks", ["local", "aws"])
def test_what_an_older_version_kept_for_aws_is_told_and_not_passed_over(
    tmp_path: Path, target: str, account: str, asks: str
) -> None:
    store = open_state(tmp_path.as_uri())
    inputs = {"allowedAccountIds": json.dumps([account])} if target == "aws" else {"endpoints": "[]"}
    state = {"checkpoint": {"latest": {"resources": [{"type": "pulumi:providers:aws", "inputs": inputs}]}}}
    file = ".pulumi/stacks/shop/dev.json"
    store.put(f"engine/{file}", json.dumps(state).encode())
    store.create("journal/shop.dev/runs/000001/00000001.json", b"{}")
    asked, on_aws = (Identity("shop", "dev", each, ACCOUNT) for each in (asks, "aws"))
    if (target, account) != ("aws", ACCOUNT):
        require_same(store, asked)
        return
    with pytest.raises(Refused, match="older version") as refused:
        require_same(store, asked)
    assert f"engine/aws-{ACCOUNT}/{file}" in str(refused.value.remedy)
    # Moved, as the error says.
    (tmp_path / "journal/shop.dev").rename(tmp_path / "journal" / on_aws.scope)
    store.put(f"{on_aws.engine_folder}/{file}", json.dumps(state).encode())
    store.delete([f"engine/{file}"])
    require_same(store, asked)


@pytest.mark.parametrize(
    "state", [b"", b"[]", b'{"checkpoint": {}}', b'{"checkpoint": {"latest": {"resources": [{}]}}}']
)
def test_a_state_that_says_nothing_of_its_target_is_nobodys(tmp_path: Path, state: bytes) -> None:
    store = open_state(tmp_path.as_uri())
    store.put("engine/.pulumi/stacks/shop/dev.json", state)
    require_same(store, Identity("shop", "dev", "aws", ACCOUNT))


def test_a_target_and_an_account_of_aws_have_their_own_place() -> None:
    asked = [("local", ACCOUNT), ("aws", ACCOUNT), ("aws", "210987654321")]
    found = [Identity("shop", "dev", *each) for each in asked]
    assert len({each.scope for each in found}) == len({each.engine_folder for each in found}) == len(found)


def test_an_environment_named_like_a_part_of_a_name_shares_none() -> None:
    assert all(holds_region(f"worker-{region}-c") for region in all_regions())
    assert not holds_region("feature-sed-1")
    region = "us-east-1"
    one = Names("a", f"worker-{region}-c", ACCOUNT).get_resource_name("worker", region)
    assert one != Names(f"a-worker-{region}", "c", ACCOUNT).get_resource_name("worker", region)


@pytest.mark.parametrize("name", ["a b", "ü", "a+b", "a#b", "a%25b", "a%b", "a[b", "a:b", "a?b"])
def test_a_folder_of_any_name_is_found_again(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    url = parse_state_url(folder.as_uri())
    assert url.folder == folder
    assert parse_state_url(url.engine_url("engine", "eu-west-1")).folder == folder / "engine"
    open_state(folder.as_uri()).put("a/b", b"c")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_every_name_of_a_folder_is_quoted_and_unquoted_alike(name: str) -> None:
    assume(name not in (".", ".."))
    folder = Path("/home") / name
    url = parse_state_url(folder.as_uri())
    assert (url.folder, url.problem) == (folder, None)
    assert folder_of(url.engine_url("engine", "eu-west-1")) == folder / "engine"
    assert urlsplit(url.engine_url("engine", "eu-west-1")).path == url.engine_url(
        "engine", "eu-west-1"
    ).removeprefix("file://")


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("AWS_ENDPOINT_URL", "https://127.0.0.1:4566"),
        ("AWS_ENDPOINT_URL_S3", "http://localstack:4566"),
        ("AWS_ENDPOINT_URL_SSM", "https://ssm.amazonaws.com.example"),
        ("AWS_ENDPOINT_URL", "https://amazonaws.com@127.0.0.1"),
        ("AWS_ENDPOINT_URL", "https://[::1"),
    ],
)
def test_what_is_meant_for_aws_goes_nowhere_else(name: str, endpoint: str) -> None:
    with pytest.raises(Refused, match="not AWS") as refused:
        require_aws({name: endpoint}, {})
    assert refused.value.where == name
    require_aws({name: endpoint, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, {})


def test_a_command_on_aws_with_the_offline_variables_set_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "regionshift.yaml"
    file.write_text(SMALLEST, encoding="utf-8")
    variables = {"AWS_ENDPOINT_URL": "https://127.0.0.1:9"}
    outside = Surroundings(variables, lambda: datetime.now(UTC), lambda: 0.0)
    with pytest.raises(Refused) as refused, open_session(file, {"target": "aws"}, outside):
        pass
    assert refused.value.where == "AWS_ENDPOINT_URL"


def test_endpoints_of_aws_are_taken() -> None:
    require_aws(
        {
            "AWS_ENDPOINT_URL": "",
            "AWS_ENDPOINT_URL_S3": "https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com",
            "AWS_ENDPOINT_URL_SQS": "https://sqs.us-east-1.api.aws",
        },
        {"a profile": "https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com"},
    )


@pytest.mark.parametrize(
    ("lines", "profile", "where"),
    [
        ("[default]\nendpoint_url = http://localhost:4566\n", None, "profile default"),
        ("[profile work]\nendpoint_url = http://localhost:4566\n", "work", "profile work"),
        (
            "[profile work]\nservices = here\n[services here]\nsqs =\n  endpoint_url = http://localhost:4566\n",
            "work",
            "services here, sqs",
        ),
    ],
)
def test_no_line_of_the_aws_files_leads_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, profile: str | None, where: str
) -> None:
    aws = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(aws))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    file = tmp_path / "regionshift.yaml"
    file.write_text(SMALLEST, encoding="utf-8")
    variables = {"REGIONSHIFT_PROFILE": profile} if profile else {}
    outside = Surroundings(variables, lambda: datetime.now(UTC), lambda: 0.0)
    aws.write_text(lines, encoding="utf-8")
    with pytest.raises(Refused, match="not AWS") as refused, open_session(file, {"target": "aws"}, outside):
        pass
    assert where in str(refused.value.where)
    for harmless in (
        lines.replace("[profile work]", "[profile other]").replace("[default]", "[profile other]")
        + f"[{'profile work' if profile else 'default'}]\nregion = us-east-1\n",
        lines.replace("http://localhost:4566", "https://s3.us-east-1.amazonaws.com"),
        lines.replace("[services", "ignore_configured_endpoint_urls = true\n[services")
        if "services" in lines
        else lines + "ignore_configured_endpoint_urls = true\n",
    ):
        aws.write_text(harmless, encoding="utf-8")
        require_aws({}, Clients(profile=profile).configured_endpoints())


def test_a_terminal_without_our_signs_is_written_to() -> None:
    """The whole command, with a plain terminal and warnings that are errors."""
    variables = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONWARNINGS": "error"}
    script = "import sys; sys.argv = ['regionshift', '--help']; from regionshift.cli import main; main()"
    signs = (
        "import os, sys; from regionshift.cli import settle;"
        " settle(os.environ, (sys.stdout,)); print('\u00fc \u2713')"
    )
    for line, wanted in ((script, "regionshift"), (signs, "? +")):
        done = subprocess.run(
            [sys.executable, "-c", line], env=variables, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert wanted in done.stdout


def test_what_a_shell_evaluates_is_exact_on_every_terminal() -> None:
    lines = "from regionshift.cli.show import print_for_shell; print_for_shell({'A': '/tmp/\\u00fc b'})"
    plain = {**os.environ, "PYTHONIOENCODING": "ascii:replace", "PYTHONUTF8": "1"}
    said = subprocess.run([sys.executable, "-c", lines], env=plain, capture_output=True, check=True).stdout
    assert said == "export A='/tmp/\u00fc b'\n".encode()


def test_loopback_needs_no_proxy_and_what_was_said_stays() -> None:
    found = without_proxy({"no_proxy": "corp.example", "http_proxy": "http://127.0.0.1:9"})
    assert found["no_proxy"] == found["NO_PROXY"] == "corp.example,localhost,127.0.0.1,::1"


def test_warnings_as_errors_end_no_process() -> None:
    variables = {"PYTHONWARNINGS": "error,default::UserWarning"}
    settle(variables, ())
    assert variables["PYTHONWARNINGS"] == "ignore,default::UserWarning"


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(number: int) -> None:
        raise KeyError(number)

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert user_name() == f"user {os.getuid()}"


@pytest.mark.parametrize(("encoding", "told"), [("utf-8", 0), ("latin-1", 1), ("ascii", 1)])
def test_doctor_tells_of_a_terminal_that_changes_signs(
    monkeypatch: pytest.MonkeyPatch, encoding: str, told: int
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    found = terminal_findings()
    assert [each.severity for each in found] == ["warning"] * told
    assert all(encoding in each.message and each.remedy for each in found)
