"""The zones that were chosen are read from the state, or told to be unreadable; never chosen anew in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from regionshift.aws.clients import Clients
from regionshift.journal.backends import open_state
from regionshift.journal.store import StateDamaged
from regionshift.operations.zones import zones_of

pytestmark = pytest.mark.component
REGION = "eu-north-1"


def test_zones_are_asked_for_once(clients: Clients, tmp_path: Path) -> None:
    store = open_state(tmp_path.as_uri())
    chosen = zones_of(clients, store, "dev", [REGION], 2)
    assert zones_of(Clients(endpoint="https://127.0.0.1:1"), store, "dev", [REGION], 2) == chosen


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
        zones_of(clients, store, "dev", [REGION], 2)
    assert str(told.value.where).endswith("zones/dev.json")
    assert "backup" in str(told.value.remedy)
    kept = store.get("zones/dev.json")
    assert kept is not None
    assert kept.body == body
