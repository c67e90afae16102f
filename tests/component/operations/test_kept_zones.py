"""The zones that were chosen are read from the state, or told to be unreadable; never chosen anew in silence. They, and
whose environment it is, are written by what makes it alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.errors import Refused
from regionshift.journal.backends import open_state
from regionshift.journal.identity import write_down
from regionshift.journal.journal import Journal
from regionshift.journal.store import StateDamaged
from regionshift.local.emulator import LocalCloud
from regionshift.operations.zones import Zones
from regionshift.session import Session, open_session
from regionshift.settings.names import Identity
from regionshift.surroundings import Surroundings, surroundings

pytestmark = pytest.mark.component
REGION = "eu-north-1"


def test_zones_are_asked_for_once(clients: Clients, tmp_path: Path) -> None:
    store = open_state(tmp_path.as_uri())
    zones, nobody = Zones(store, "dev"), Clients(endpoint="https://127.0.0.1:1")
    chosen = zones.choose(clients, [REGION], 2)
    assert zones.choose(nobody, [REGION], 2) == chosen
    zones.keep()
    assert Zones(store, "dev").choose(nobody, [REGION], 2) == chosen


def test_what_was_asked_for_a_plan_is_not_kept_and_what_is_kept_goes_before_it(
    clients: Clients, tmp_path: Path
) -> None:
    store = open_state(tmp_path.as_uri())
    Zones(store, "dev").choose(clients, [REGION], 2)
    Zones(store, "dev").keep()
    assert store.keys("zones") == []
    store.put("zones/dev.json", b'{"eu-north-1": ["eu-north-1b", "eu-north-1c"]}')
    zones = Zones(store, "dev")
    assert zones.choose(clients, [REGION, "eu-west-1"], 2)[REGION] == ("eu-north-1b", "eu-north-1c")
    zones.keep()
    again = Zones(store, "dev").choose(Clients(endpoint="https://127.0.0.1:1"), [REGION, "eu-west-1"], 2)
    assert again == zones.choose(clients, [REGION, "eu-west-1"], 2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'{"eu-north-1": null}',
        b'{"eu-north-1": [1, 2]}',
        b'{"eu-north-1": "ab"}',
        b"\xff",
        b"[" * 200_000,
    ],
    ids=lambda body: str(body[:20]),
)
def test_a_damaged_file_of_zones_is_one_clear_error(clients: Clients, tmp_path: Path, body: bytes) -> None:
    store = open_state(tmp_path.as_uri())
    store.put("zones/dev.json", body)
    with pytest.raises(StateDamaged, match="availability zones") as told:
        Zones(store, "dev").choose(clients, [REGION], 2)
    assert str(told.value.where).endswith("zones/dev.json")
    assert "backup" in str(told.value.remedy)
    kept = store.get("zones/dev.json")
    assert kept is not None
    assert kept.body == body


Open = Callable[..., AbstractContextManager[Session]]


@pytest.fixture
def opened(tmp_path: Path, cloud: LocalCloud) -> Open:
    """A command that holds the lock; its engine is not run."""
    file = tmp_path / "regionshift.yaml"
    file.write_text(
        f"project: shop\nenvironment: dev\naccount: '{cloud.account}'\ntarget: local\n"
        f"regions: {{primary: {REGION}}}\nnetwork: {{vpc_cidr: 10.0.0.0/16}}\n"
    )
    variables = {
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": cloud.access_key,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_key,
        "REGIONSHIFT_CA_BUNDLE": str(cloud.ca_bundle),
    }
    outside = Surroundings(variables, surroundings().now, surroundings().monotonic)

    def open_it(**more: Any) -> AbstractContextManager[Session]:
        return open_session(
            file, {}, outside, endpoint=cloud.endpoint, locked=True, without_engine=True, **more
        )

    return open_it


def test_what_plans_writes_the_lock_alone_and_what_keeps_a_release_the_rest(
    opened: Open, tmp_path: Path
) -> None:
    state = tmp_path / ".regionshift/state"

    def written() -> set[str]:
        return {path.relative_to(state).parts[0] for path in state.rglob("*") if path.is_file()}

    with opened() as session:
        session.environment.release()
    assert written() == {"locks"}
    with opened() as session:
        session.catalog.keep(session.environment.release(), None)
    assert written() == {"artifacts", "identity", "locks", "releases", "zones"}
    [kept] = (state / "zones").iterdir()
    noted = json.loads(kept.read_text())
    kept.write_text(json.dumps({REGION: noted[REGION][::-1]}))
    with opened() as session:
        assert session.environment.release().zones[REGION] == tuple(noted[REGION][::-1][:2])


def test_another_environment_that_was_made_while_the_lock_was_waited_for_is_not_worked_on(
    opened: Open, cloud: LocalCloud, tmp_path: Path
) -> None:
    other = Identity("shop", "Dev", "local", cloud.account)

    def made(_: Journal) -> list[str]:
        store = open_state((tmp_path / ".regionshift/state").as_uri())
        write_down(store, other, lambda: None)
        Journal(store, other.scope, lambda: datetime.now(UTC)).start("fence", {})
        return []

    with pytest.raises(Refused, match="made as"), opened(skipped=made):
        raise AssertionError("it went on")
