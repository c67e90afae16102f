"""The journal on both backends: nothing that was answered is lost, and what is damaged is said."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regionshift.errors import InputError, Refused
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.journal.store import (
    Credentials,
    KeyTakenError,
    S3Access,
    StateDamaged,
    StateStore,
    SwapStore,
)
from regionshift.local.emulator import LocalCloud


def journal_of(store: StateStore) -> Journal:
    return Journal(store, "shop.dev", lambda: datetime.now(UTC))


def test_a_run_is_told_from_its_events(store: StateStore) -> None:
    journal = journal_of(store)
    run = journal.start("deployment", {"target": "abc"})
    run.append("wave-1/apply", "before", "eu-west-1")
    assert [step.step for step in journal.view(run.run_id).in_doubt] == ["wave-1/apply"]
    run.append("wave-1/apply", "after", "eu-west-1", {"changed": 3})
    view = run.close("succeeded", {"regions": {"eu-west-1": "abc"}})
    assert (view.outcome, view.opened, view.in_doubt) == ("succeeded", {"target": "abc"}, ())
    assert journal_of(store).view(run.run_id) == view
    assert journal.view("1") == view


def test_runs_are_numbered_and_listed_newest_first(store: StateStore) -> None:
    journal = journal_of(store)
    first = journal.start("deployment", {})
    first.close("succeeded", {"regions": {}})
    second = journal.start("migration", {})
    third = journal.start("deployment", {})
    third.close("rolled back", failed=True)
    history = journal.history()
    assert [(run.run_id, run.outcome) for run in history] == [
        (third.run_id, "rolled back"),
        (second.run_id, None),
        (first.run_id, "succeeded"),
    ]
    assert history[-1].result == {"regions": {}, "outcome": "succeeded"}
    assert [run.run_id for run in journal.history(limit=1)] == [third.run_id]
    assert [view.run_id for view in journal.unfinished()] == [second.run_id]


def test_history_does_not_need_its_copies(store: StateStore) -> None:
    journal = journal_of(store)
    journal.start("deployment", {}).close("succeeded", {"n": 1})
    journal.start("deployment", {}).close("succeeded", {"n": 2})
    with_copies = journal.history()
    copies = store.keys("journal/shop.dev/closed")
    store.delete(copies[:1])
    store.put(copies[1], b"{cut")
    assert journal.history() == with_copies
    assert journal.unfinished() == []


def test_history_of_finished_runs_reads_one_object_a_run(file_store: StateStore) -> None:
    journal = journal_of(file_store)
    for _ in range(20):
        run = journal.start("deployment", {})
        for step in range(10):
            run.append(f"step-{step}", "after")
        run.close("succeeded")
    counting = CountingStore(file_store)
    assert len(journal_of(counting).history()) == 20
    assert counting.read == 20


def test_what_cannot_change_is_read_once(file_store: StateStore) -> None:
    counting = CountingStore(file_store)
    journal = journal_of(counting)
    for _ in range(5):
        journal.start("deployment", {}).close("succeeded")
    left = journal.start("deployment", {})
    first, read = journal.history(), counting.read
    assert journal.history() == first
    assert counting.read - read == 1, "the event of the open run alone"
    standing = journal.as_it_stands()
    assert [view.run_id for view in standing.unfinished()] == [left.run_id]
    left.close("succeeded")
    read = counting.read
    assert standing.history() == first, "it tells of one moment"
    assert counting.read == read
    assert journal.history()[0].outcome == "succeeded" and journal.unfinished() == []


def test_a_killed_run_is_reopened_and_goes_on(store: StateStore) -> None:
    journal = journal_of(store)
    killed = journal.start("deployment", {})
    killed.append("wave-1/apply", "before")
    again = journal_of(store).reopen(killed.run_id)
    assert again.append("wave-1/apply", "after").sequence == 3
    again.close("succeeded")
    with pytest.raises(Refused, match="finished"):
        journal.reopen(killed.run_id)


@pytest.mark.parametrize("name", ["999", "nonsense", "000001-deployment-ffffff", ""])
def test_an_unknown_run_is_wrong_input(store: StateStore, name: str) -> None:
    journal = journal_of(store)
    journal.start("deployment", {})
    with pytest.raises(InputError):
        journal.view(name)


def test_threads_lose_no_event(store: StateStore) -> None:
    journal = journal_of(store)
    run = journal.start("deployment", {})
    other = journal.reopen(run.run_id)
    with ThreadPoolExecutor(8) as pool:
        appended = list(pool.map(lambda n: (run, other)[n % 2].append(f"s{n}", "after"), range(40)))
    view = journal.view(run.run_id)
    assert {step.step for step in view.steps} == {f"s{n}" for n in range(40)}
    assert sorted(event.sequence for event in appended) == list(range(2, 42))


def test_threads_start_runs_of_their_own(store: StateStore) -> None:
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda _: journal_of(store).start("deployment", {}).run_id, range(6)))
    assert sorted(int(run[:6]) for run in runs) == list(range(1, 7))


def append_many(url: str, cloud: tuple[str, str, str, bytes] | None, run_id: str, name: str) -> None:
    access = None
    if cloud is not None:
        endpoint, key, secret, authority = cloud
        access = S3Access("eu-central-1", lambda: Credentials(key, secret), endpoint, authority)
    run = journal_of(open_state(url, access)).reopen(run_id)
    for number in range(15):
        run.append(f"{name}-{number}", "after")


@pytest.mark.parametrize("backend", ["file", "s3"])
def test_processes_lose_no_event(backend: str, tmp_path: Path, bucket: str, cloud: LocalCloud) -> None:
    url = (tmp_path / "state").as_uri() if backend == "file" else f"s3://{bucket}/{tmp_path.name}"
    authority = cloud.ca_bundle.read_bytes()
    reach = (cloud.endpoint, cloud.access_key, cloud.secret_key, authority) if backend == "s3" else None
    key = Credentials(cloud.access_key, cloud.secret_key)
    journal = journal_of(open_state(url, S3Access("eu-central-1", lambda: key, cloud.endpoint, authority)))
    run = journal.start("deployment", {})
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=append_many, args=(url, reach, run.run_id, f"w{n}")) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    steps = {step.step for step in journal.view(run.run_id).steps}
    assert steps == {f"w{w}-{n}" for w in range(3) for n in range(15)}


def test_a_guard_that_says_no_stops_the_write(file_store: StateStore) -> None:
    def gone() -> None:
        raise Refused("the lock is lost")

    run = journal_of(file_store).start("deployment", {})
    guarded = Journal(file_store, "shop.dev", lambda: datetime.now(UTC), gone).reopen(run.run_id)
    with pytest.raises(Refused, match="lost"):
        guarded.append("a", "before")
    assert run.view().last_sequence == 1


def test_a_damaged_event_names_its_file(store: StateStore) -> None:
    journal = journal_of(store)
    run = journal.start("deployment", {})
    run.append("a", "before")
    key = store.keys("journal/shop.dev/runs")[1]
    whole = store.get(key)
    assert whole is not None
    store.put(key, whole.body[:-9])
    with pytest.raises(StateDamaged) as caught:
        journal.view(run.run_id)
    assert caught.value.where == f"{store.url}/{key}"
    assert "backup" in str(caught.value.remedy)
    store.put(key, b"")
    with pytest.raises(StateDamaged):
        journal.history()


def test_a_lost_event_is_noticed(store: StateStore) -> None:
    journal = journal_of(store)
    run = journal.start("deployment", {})
    run.append("a", "before")
    run.append("a", "after")
    store.delete([f"journal/shop.dev/runs/{run.run_id[:6]}/00000002.json"])
    with pytest.raises(StateDamaged):
        journal.view(run.run_id)


def test_a_put_that_was_retried_below_us_is_not_written_twice(s3_store: SwapStore) -> None:
    run = journal_of(ForgetfulStore(s3_store)).start("deployment", {})
    run.append("a", "before")
    run.append("a", "after")
    assert run.view().last_sequence == 3


def test_a_number_taken_without_an_event_harms_nothing(file_store: StateStore, tmp_path: Path) -> None:
    (tmp_path / "state/journal/shop.dev/runs/000001").mkdir(parents=True)
    journal = journal_of(file_store)
    run = journal.start("deployment", {})
    assert [summary.run_id for summary in journal.history()] == [run.run_id]
    assert [view.run_id for view in journal.unfinished()] == [run.run_id]


class PassingStore:
    """A store that does what another does."""

    def __init__(self, inner: StateStore) -> None:
        self.inner = inner
        self.url = inner.url
        self.put, self.keys, self.folders, self.delete = inner.put, inner.keys, inner.folders, inner.delete
        self.get = inner.get

    def create(self, key: str, body: bytes) -> None:
        self.inner.create(key, body)

    def get_many(self, keys: object) -> dict[str, bytes]:
        return self.inner.get_many(keys)  # type: ignore[arg-type]


class CountingStore(PassingStore):
    """Counts the objects that are read."""

    read = 0

    def get_many(self, keys: object) -> dict[str, bytes]:
        found = super().get_many(keys)
        self.read += len(found)
        return found


class ForgetfulStore(PassingStore):
    """Every put arrives, its answer is lost, and the retry meets the put itself."""

    def create(self, key: str, body: bytes) -> None:
        self.inner.create(key, body)
        raise KeyTakenError(key)


def _finished(journal: Journal) -> str:
    run = journal.start("deployment", {"releases": {"eu-west-1": "abc"}})
    run.append("apply", "before")
    run.append("apply", "after")
    run.close("succeeded", {"regions": {"eu-west-1": "abc"}})
    return run.run_id


@pytest.mark.parametrize("damage", [b"", b"{", b"\0" * 30, b'{"version": 1}'])
def test_a_damaged_last_event_of_a_finished_run_is_told_by_the_runs_copy(
    store: StateStore, damage: bytes
) -> None:
    whole = journal_of(store)
    run_id = _finished(whole)
    before = whole.view(run_id)
    store.put("journal/shop.dev/runs/000001/00000004.json", damage)
    journal = journal_of(store)
    assert journal.view(run_id) == before
    assert journal.events(run_id)[-1].data["outcome"] == "succeeded"
    (said,) = journal.damage
    assert "00000004.json" in said and "copy" in said
    assert journal.unfinished() == [] and journal.history() == whole.history()
    with pytest.raises(Refused, match="finished"):
        journal.reopen(run_id)


def test_damage_in_the_middle_of_a_finished_run_hides_its_steps_alone(store: StateStore) -> None:
    run_id = _finished(journal_of(store))
    store.put("journal/shop.dev/runs/000001/00000002.json", b"{")
    journal = journal_of(store)
    view = journal.view(run_id)
    assert (view.outcome, view.opened, view.steps) == ("succeeded", {"releases": {"eu-west-1": "abc"}}, ())
    assert journal.damage
    with pytest.raises(StateDamaged):
        journal.events(run_id)


@pytest.mark.parametrize("copy", [None, b"{", b"of another run"])
def test_damage_without_a_whole_copy_of_the_same_run_is_an_error(
    store: StateStore, copy: bytes | None
) -> None:
    run_id = _finished(journal_of(store))
    store.put("journal/shop.dev/runs/000001/00000004.json", b"{")
    kept = "journal/shop.dev/closed/000001.json"
    found = store.get(kept)
    assert found is not None
    store.delete([kept])
    if copy is not None:
        other = found.body.replace(run_id.encode(), b"000001-deployment-ffffff")
        store.put(kept, other if copy.startswith(b"of") else copy)
    with pytest.raises(StateDamaged):
        journal_of(store).view(run_id)


def test_a_damaged_first_event_is_an_error(store: StateStore) -> None:
    run_id = _finished(journal_of(store))
    store.put("journal/shop.dev/runs/000001/00000001.json", b"{")
    with pytest.raises(StateDamaged):
        journal_of(store).view(run_id)
