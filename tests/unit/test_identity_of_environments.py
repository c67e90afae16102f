"""Two environments never meet: exact names are kept, targets have a place each, folders of any name work."""

from __future__ import annotations

from pathlib import Path

import pytest

from regionshift.cli.startup import settle, without_proxy
from regionshift.errors import Refused
from regionshift.journal.identity import Identity, forget, require_same
from regionshift.journal.store import open_state
from regionshift.settings.names import Names, holds_region
from regionshift.settings.regions import all_regions
from regionshift.settings.state_url import parse_state_url

ACCOUNT = "123456789012"


@pytest.mark.parametrize(
    ("one", "other"), [("feature/SED-1", "feature-sed-1"), ("PR_42/x", "pr-42-x"), ("Dev", "dev")]
)
def test_names_that_become_one_are_refused_to_the_second(tmp_path: Path, one: str, other: str) -> None:
    store = open_state(tmp_path.as_uri())
    first, second = (Identity("shop", name, "local", ACCOUNT) for name in (one, other))
    assert first.scope == second.scope
    require_same(store, first, locked=True)
    store.create(f"journal/{first.scope}/runs/000001/00000001.json", b"{}")
    require_same(store, first, locked=False)
    for locked in (False, True):
        with pytest.raises(Refused) as refused:
            require_same(store, second, locked=locked)
        assert one in str(refused.value)
        assert other in str(refused.value)
    forget(store, first)
    require_same(store, second, locked=True)


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
    assert parse_state_url(url.below("engine")).folder == folder / "engine"
    open_state(folder.as_uri()).put("a/b", b"c")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_loopback_needs_no_proxy_and_what_was_said_stays() -> None:
    found = without_proxy({"no_proxy": "corp.example", "http_proxy": "http://127.0.0.1:9"})
    assert found["no_proxy"] == found["NO_PROXY"] == "corp.example,localhost,127.0.0.1,::1"


def test_warnings_as_errors_end_no_process() -> None:
    variables = {"PYTHONWARNINGS": "error,default::UserWarning"}
    settle(variables, ())
    assert variables["PYTHONWARNINGS"] == "ignore,default::UserWarning"
