"""Which regions a command does not call is what the environment's own commands wrote, as it was under the lock."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from regionshift.aws import guard
from regionshift.engine_setup import EngineSetup
from regionshift.errors import Refused
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.sealing import key_from_file
from regionshift.session import SessionParts, open_session
from regionshift.surroundings import Surroundings

SETTINGS = """\
project: shop
environment: dev
account: "123456789012"
target: local
regions: {primary: us-east-1, secondaries: [eu-west-1]}
network: {vpc_cidr: 10.0.0.0/16}
"""


class WentOn(Exception):
    """The command went on to its engine."""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A command that holds the lock, as far as its engine; AWS is not asked."""
    file = tmp_path / "regionshift.yaml"
    file.write_text(SETTINGS, encoding="utf-8")

    def went_on(*_: object, **__: object) -> None:
        raise WentOn

    monkeypatch.setattr(SessionParts, "clients", None)
    monkeypatch.setattr(SessionParts, "cloud", None)
    monkeypatch.setattr(EngineSetup, "found", went_on)
    monkeypatch.setattr(guard, "require_account", lambda *_: None)

    def run(*, skipped: Any = (), locked: bool = True) -> None:
        outside = Surroundings({}, lambda: datetime.now(UTC), lambda: 0.0)
        with open_session(file, {}, outside, locked=locked, skipped=skipped):
            raise AssertionError("there is no engine")

    return run


def test_a_made_up_copy_lifts_no_fence(command: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(WentOn):
        command()
    store = open_state((tmp_path / ".regionshift" / "state").as_uri())
    key = key_from_file(tmp_path / ".regionshift" / "state.key")
    journal = Journal(store, "shop.dev", lambda: datetime.now(UTC), key=key)
    run = journal.start("fence", {"regions": ["eu-west-1"]}).close("succeeded", {"fenced": ["eu-west-1"]})
    with pytest.raises(WentOn):
        command()
    copy = f"journal/shop.dev/closed/{run.run_id.partition('-')[0]}.json"
    kept = store.get(copy)
    assert kept is not None
    store.put(copy, json.dumps({**json.loads(kept.body), "result": {}}).encode())
    with pytest.raises(Refused, match="regions that get no call changed"):
        command()
    with pytest.raises(WentOn):  # what changes nothing goes on
        command(locked=False)
    store.delete([copy])
    with pytest.raises(WentOn):
        command()


def test_what_another_command_wrote_before_the_lock_was_held_is_seen(command: Callable[..., Any]) -> None:
    answers = [["eu-west-1"], []]
    with pytest.raises(Refused, match="regions that get no call changed"):
        command(skipped=lambda _: answers.pop())
