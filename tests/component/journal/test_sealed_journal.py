"""What a journal that is acted on takes: what the environment's own commands wrote where it lies, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regionshift.cli.doctor import _unsealed
from regionshift.errors import Refused, WorkFailed
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal, NotSealed, TakenNotSealed
from regionshift.journal.sealing import SecretKey
from regionshift.journal.store import StateDamaged, StateStore
from regionshift.releases import deployed_releases

KEY = SecretKey(b"k" * 32)
Forge = Callable[[StateStore, str], None]


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return open_state(tmp_path.as_uri())


def journal_of(
    store: StateStore, key: SecretKey | None = KEY, environment: str = "shop.dev", *, acted_on: bool = True
) -> Journal:
    return Journal(store, environment, lambda: datetime.now(UTC), key=key, acted_on=acted_on)


def _run(journal: Journal, digest: str = "abc") -> str:
    run = journal.start("deployment", {"releases": {"eu-west-1": digest}})
    run.append("up", "before")
    return run.run_id


def _place(run_id: str, number: int, environment: str = "shop.dev") -> str:
    return f"journal/{environment}/runs/{run_id.partition('-')[0]}/{number:08d}.json"


def _body(store: StateStore, place: str) -> bytes:
    found = store.get(place)
    assert found is not None
    return found.body


def _changed(store: StateStore, place: str, **fields: Any) -> bytes:
    return json.dumps({**json.loads(_body(store, place)), **fields}).encode()


def _opened_otherwise(store: StateStore, run_id: str) -> None:
    place = _place(run_id, 1)
    store.put(place, _changed(store, place, data={"releases": {"eu-west-1": "evil"}}))


def _without_seal(store: StateStore, run_id: str) -> None:
    place = _place(run_id, 2)
    event = json.loads(_body(store, place))
    del event["seal"]
    store.put(place, json.dumps(event).encode())


def _one_more(store: StateStore, run_id: str) -> None:
    store.create(_place(run_id, 3), _changed(store, _place(run_id, 2), sequence=3, phase="after", seal=""))


def _of_another_key(store: StateStore, run_id: str) -> None:
    journal_of(store, SecretKey(b"x" * 32), acted_on=False).reopen(run_id).append("up", "after")


def _of_another_environment(store: StateStore, run_id: str) -> None:
    other = _run(journal_of(store, environment="shop.prod"), "evil")
    assert other.partition("-")[0] == run_id.partition("-")[0]
    store.put(_place(run_id, 1), _body(store, _place(other, 1, "shop.prod")))
    store.delete([_place(run_id, 2)])


def _of_another_run(store: StateStore, run_id: str) -> None:
    other = _run(journal_of(store), "evil")
    store.put(_place(run_id, 1), _body(store, _place(other, 1)))
    store.delete([_place(run_id, 2)])


@pytest.mark.parametrize(
    "forge",
    [_opened_otherwise, _without_seal, _one_more, _of_another_key, _of_another_environment, _of_another_run],
)
def test_a_run_that_somebody_changed_is_told_and_not_acted_on(store: StateStore, forge: Forge) -> None:
    run_id = _run(journal_of(store))
    forge(store, run_id)
    told, acted_on = journal_of(store, acted_on=False), journal_of(store)
    assert told.history()
    number = run_id.partition("-")[0]
    for act in (acted_on.unfinished, lambda: acted_on.view(number), lambda: acted_on.reopen(number)):
        with pytest.raises(NotSealed) as refused:
            act()
        assert refused.value.exit_code == 3
        assert "history --seal" in str(refused.value.remedy)


def test_a_made_up_run_says_nothing_of_what_stands(store: StateStore) -> None:
    _run(journal_of(store, key=None))
    with pytest.raises(NotSealed):
        journal_of(store).unfinished()
    made_up = journal_of(store, key=None).start("deployment", {"releases": {"eu-west-1": "evil"}})
    made_up.close("succeeded")
    assert deployed_releases(journal_of(store, acted_on=False)).releases == {"eu-west-1": "evil"}
    with pytest.raises(NotSealed):
        deployed_releases(journal_of(store))


def test_a_made_up_copy_neither_hides_a_run_nor_says_how_one_ended(store: StateStore) -> None:
    journal = journal_of(store)
    run_id = _run(journal)
    copy = f"journal/shop.dev/closed/{run_id.partition('-')[0]}.json"
    ended = {"run_id": run_id, "kind": "deployment", "outcome": "succeeded", "result": {}}
    now = datetime.now(UTC).isoformat()
    store.create(copy, json.dumps({**ended, "started": now, "ended": now}).encode())
    assert [view.run_id for view in journal.unfinished()] == [run_id]
    assert [run.outcome for run in journal.history()] == [None]
    view = journal.reopen(run_id).close("failed", failed=True)
    assert [run.outcome for run in journal.history()] == [view.outcome] == ["failed"]
    assert not journal.unsealed()


def test_a_torn_event_is_told_as_damage(store: StateStore) -> None:
    run_id = _run(journal_of(store))
    store.put(_place(run_id, 2), b'{"version": 1, "seq')
    with pytest.raises(StateDamaged):
        journal_of(store).view(run_id)
    assert not journal_of(store).unsealed()


def test_an_earlier_journal_is_told_and_acted_on_once_a_person_has_taken_it(store: StateStore) -> None:
    earlier = journal_of(store, key=None)
    earlier.start("deployment", {"releases": {"eu-west-1": "abc"}}).close("succeeded")
    run_id = _run(earlier)
    journal = journal_of(store)
    assert next(run.run_id for run in journal_of(store, acted_on=False).history()) == run_id
    with pytest.raises(NotSealed):
        journal.reopen(run_id)
    found = journal.unsealed()
    later = _run(earlier, "evil")  # while the person looked
    journal.take(found)
    for taken in (journal, journal_of(store)):
        assert taken.view("1").opened["releases"] == {"eu-west-1": "abc"}
        with pytest.raises(NotSealed):
            taken.view(later)
    journal.reopen(run_id).append("up", "after")
    assert journal_of(store).view(run_id).last_sequence == 3
    _opened_otherwise(store, run_id)
    with pytest.raises(NotSealed):
        journal_of(store).view(run_id)


@pytest.mark.parametrize("seal", [{}, {"seal": "00"}])
def test_nobody_without_the_key_takes_an_earlier_journal(store: StateStore, seal: Mapping[str, str]) -> None:
    _run(journal_of(store, key=None))
    found = journal_of(store).unsealed()
    store.put("journal/shop.dev/earlier.json", json.dumps({"events": found, **seal}).encode())
    with pytest.raises(Refused):
        journal_of(store).unfinished()


def test_what_was_taken_and_is_not_sealed_says_how_to_take_it_again(store: StateStore) -> None:
    _run(journal_of(store, key=None))
    journal_of(store).take(journal_of(store).unsealed())
    other = SecretKey(b"x" * 32)  # the state got another key
    with pytest.raises(TakenNotSealed) as refused:
        journal_of(store, other).unsealed()
    assert "delete that object" in str(refused.value.remedy)
    assert str(refused.value.where).endswith("journal/shop.dev/earlier.json")
    store.delete(["journal/shop.dev/earlier.json"])
    again = journal_of(store, other)
    again.take(again.unsealed())
    assert len(again.unfinished()) == 1


def test_what_is_about_to_be_taken_is_told_by_its_events(store: StateStore) -> None:
    run_id = _run(journal_of(store, key=None), "evil")
    now = datetime.now(UTC).isoformat()
    told = {
        "run_id": run_id,
        "kind": "destroy",
        "outcome": "failed",
        "result": {},
        "started": now,
        "ended": now,
    }
    for number in (run_id.partition("-")[0], "000009"):  # of no run at all
        store.create(f"journal/shop.dev/closed/{number}.json", json.dumps(told).encode())
    journal = journal_of(store, acted_on=False)
    assert [run.kind for run in journal.history()] == ["destroy"]
    found = journal.unsealed()
    assert len(found) == 4
    assert [(run.kind, run.outcome) for run in journal.runs_of(found)] == [("deployment", None)]


def test_the_doctor_tells_of_a_key_that_cannot_be_used(store: StateStore) -> None:
    _run(journal_of(store, key=None))

    def refused() -> bytes:
        raise WorkFailed("the key is disabled", remedy="enable it")

    journal = journal_of(store, SecretKey(refused), acted_on=False)
    wired: Any = SimpleNamespace(journal=journal)
    (finding,) = _unsealed(wired)
    assert (finding.code, finding.severity, finding.remedy) == ("journal", "error", "enable it")


def test_what_is_nested_without_end_is_damage_and_a_folder_of_another_name_no_run(store: StateStore) -> None:
    journal = journal_of(store)
    run_id = _run(journal)
    store.create("journal/shop.dev/runs/before-the-move/00000001.json", b"{}")
    assert [run.run_id for run in journal.history()] == [run_id]
    assert journal.start("deployment", {}).run_id.startswith("000002-")
    deep = b"[" * 100_000
    store.put(_place(run_id, 2), deep)
    store.create("journal/shop.dev/closed/000001.json", deep)
    assert not journal.unsealed()
    with pytest.raises(StateDamaged):
        journal.view(run_id)


def test_a_copy_of_ours_is_read_once(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_of(store)
    for _ in range(3):
        journal.start("deployment", {}).close("succeeded")
    run_id = _run(journal)
    assert [view.run_id for view in journal.unfinished()] == [run_id]
    read: list[str] = []
    many = type(store).get_many

    def counted(self: StateStore, keys: Iterable[str]) -> dict[str, bytes]:
        read.extend(keys := list(keys))
        return many(self, keys)

    monkeypatch.setattr(type(store), "get_many", counted)
    assert [view.run_id for view in journal.unfinished()] == [run_id]
    assert read == [_place(run_id, 1), _place(run_id, 2)]
