"""One writer per environment, on both backends, whatever dies."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regionshift.errors import EXIT_REFUSED
from regionshift.journal.lock import Holder, LeaseTerms, Lock, LockHeld, LockLost, acquire, current_holder
from regionshift.journal.store import (
    KeyTakenError,
    StateStore,
    StateUnreachable,
    Stored,
    SwapLostError,
    SwapStore,
)

ENVIRONMENT = "shop.dev"
TERMS = LeaseTerms(time.monotonic)
MakeHolder = Callable[[str], Holder]


def test_the_second_is_refused_and_told_who_and_since_when(store: StateStore, holder: MakeHolder) -> None:
    ann = holder("ann")
    with acquire(store, ENVIRONMENT, ann, TERMS) as lock:
        lock.working_on("000007-deployment-abc")
        lock.check()
        with pytest.raises(LockHeld) as refused:
            acquire(store, ENVIRONMENT, holder("bob"), TERMS)
    message = str(refused.value)
    assert refused.value.exit_code == EXIT_REFUSED
    for part in ("ann", "laptop", "4711", "000007-deployment-abc", ann.since.isoformat(timespec="seconds")):
        assert part in message


def test_it_is_free_again_after_release(store: StateStore, holder: MakeHolder) -> None:
    lock = acquire(store, ENVIRONMENT, holder("ann"), TERMS)
    assert current_holder(store, ENVIRONMENT) == lock.holder
    lock.release()
    lock.release()
    assert current_holder(store, ENVIRONMENT) is None
    with pytest.raises(LockLost):
        lock.check()
    with acquire(store, ENVIRONMENT, holder("bob"), TERMS) as second:
        assert current_holder(store, ENVIRONMENT) == second.holder


def test_environments_do_not_lock_each_other(store: StateStore, holder: MakeHolder) -> None:
    with acquire(store, "a", holder("ann"), TERMS), acquire(store, "b", holder("bob"), TERMS):
        pass


def test_of_many_one_gets_it(store: StateStore, holder: MakeHolder) -> None:
    def attempt(number: int) -> Lock | None:
        try:
            return acquire(store, ENVIRONMENT, holder(f"p{number}"), TERMS)
        except LockHeld:
            return None

    with ThreadPoolExecutor(8) as pool:
        held = [lock for lock in pool.map(attempt, range(16)) if lock]
    assert len(held) == 1
    held[0].release()


def test_force_takes_it_from_the_one_named_who_notices(store: StateStore, holder: MakeHolder) -> None:
    first = acquire(store, ENVIRONMENT, holder("ann"), TERMS)
    with pytest.raises(LockHeld):
        acquire(store, ENVIRONMENT, holder("bob"), TERMS, force="somebody else")
    second = acquire(store, ENVIRONMENT, holder("bob"), TERMS, force=first.holder.token)
    with pytest.raises(LockLost):
        first.working_on("x")
    with pytest.raises(LockLost):
        first.check()
    first.release()
    second.check()
    assert current_holder(store, ENVIRONMENT) == second.holder
    with pytest.raises(LockHeld):
        acquire(store, ENVIRONMENT, holder("carl"), TERMS, force=first.holder.token)
    second.release()


HOLD = """
import sys, time
from datetime import UTC, datetime
from regionshift.journal.backends import open_state
from regionshift.journal.lock import acquire
from regionshift.journal.lock import Holder, LeaseTerms
me = Holder("ann", "laptop", 1, datetime.now(UTC), "token-1")
lock = acquire(open_state(sys.argv[1]), "shop.dev", me, LeaseTerms(time.monotonic))
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_process_holds_no_file_lock(file_store: StateStore, holder: MakeHolder) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLD, file_store.url], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(LockHeld, match="ann"):
        acquire(file_store, ENVIRONMENT, holder("bob"), TERMS)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    assert current_holder(file_store, ENVIRONMENT) is None
    with acquire(file_store, ENVIRONMENT, holder("bob"), TERMS) as lock:
        lock.check()
        assert current_holder(file_store, ENVIRONMENT) == lock.holder


def test_a_program_started_by_the_holder_does_not_keep_it(file_store: StateStore, holder: MakeHolder) -> None:
    lock = acquire(file_store, ENVIRONMENT, holder("ann"), TERMS)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        lock.release()
        acquire(file_store, ENVIRONMENT, holder("bob"), TERMS).release()
    finally:
        child.kill()
        child.wait(10)


def test_a_damaged_holder_file_is_said(file_store: StateStore, holder: MakeHolder, tmp_path: Path) -> None:
    with acquire(file_store, ENVIRONMENT, holder("ann"), TERMS):
        path = tmp_path / "state/locks/shop.dev.json"
        whole = path.read_bytes()
        path.write_bytes(whole[:5])
        with pytest.raises(Exception, match="cannot be read"):
            acquire(file_store, ENVIRONMENT, holder("bob"), TERMS)
        path.write_bytes(whole)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    def at(self, moment: float, then: Callable[[], None] = lambda: None) -> Callable[[], None]:
        """Sets the clock when it is called, then does what is to come after."""

        def pass_time() -> None:
            self.time = moment
            then()

        return pass_time


@pytest.fixture
def told_swaps() -> Iterator[ToldSwaps]:
    store = ToldSwaps()
    yield store
    store.let_all()


def lease(store: ToldSwaps, holder: Holder, clock: Clock, told: list[LockLost] | None = None) -> Lock:
    lost = [] if told is None else told
    terms = LeaseTerms(clock, length=10, renew_every=0.001, on_lost=lost.append)
    return acquire(store, ENVIRONMENT, holder, terms)


def test_a_lease_is_good_from_the_sending_of_its_last_renewal(
    told_swaps: ToldSwaps, holder: MakeHolder
) -> None:
    clock = Clock()
    lock = lease(told_swaps, holder("ann"), clock)
    told_swaps.one(clock.at(3))  # so the next is sent at 3,
    told_swaps.one(clock.at(7))  # and its answer takes four seconds
    clock.time = 12.9
    lock.check()
    clock.time = 13
    with pytest.raises(LockLost, match="in time"):
        lock.check()


def test_a_new_lease_is_good_from_the_sending_of_its_first_write(
    told_swaps: ToldSwaps, holder: MakeHolder
) -> None:
    clock = Clock()
    told_swaps.on_create = lambda: setattr(clock, "time", 4)
    lock = lease(told_swaps, holder("ann"), clock)
    clock.time = 9.9
    lock.check()
    clock.time = 10
    with pytest.raises(LockLost, match="in time"):
        lock.check()


def test_a_lease_outlives_moments_in_which_the_state_is_away(
    told_swaps: ToldSwaps, holder: MakeHolder
) -> None:
    clock, told = Clock(), list[LockLost]()
    lock = lease(told_swaps, holder("ann"), clock, told)
    for moment in (2.0, 4.0, 6.0):
        told_swaps.one(clock.at(moment, unreachable))
    told_swaps.one()  # sent at 6
    clock.time = 15.9
    lock.check()
    assert not told
    told_swaps.let_all()
    lock.release()
    assert current_holder(told_swaps, ENVIRONMENT) is None


def test_a_lease_that_cannot_be_renewed_is_given_up_before_another_may_take_it(
    told_swaps: ToldSwaps, holder: MakeHolder
) -> None:
    clock, told = Clock(), list[LockLost]()
    lock = lease(told_swaps, holder("ann"), clock, told)
    for moment in (3.0, 6.0, 9.9):
        told_swaps.one(clock.at(moment, unreachable))
        lock.check()
        assert not told
    clock.time = 10
    told_swaps.let_all(unreachable)
    wait_until(lambda: bool(told))  # from the thread, which nobody asked
    assert "in time" in told[0].message
    with pytest.raises(LockLost, match="in time"):
        lock.check()
    told_swaps.let_all()
    lock.release()
    found = current_holder(told_swaps, ENVIRONMENT)
    assert found is not None and found.owner == "ann", "what may be another's by now is not written"
    assert len(told) == 1


def test_a_lease_is_renewed_on_s3(s3_store: SwapStore, holder: MakeHolder) -> None:
    clock = Clock()
    terms = LeaseTerms(clock, length=10, renew_every=0.05)
    with acquire(s3_store, ENVIRONMENT, holder("ann"), terms) as lock:
        before = s3_store.get("locks/shop.dev.json")
        clock.time = 9
        wait_until(lambda: s3_store.get("locks/shop.dev.json") != before)
        wait_until(lambda: is_good_at(lock, clock, 18.9))


def is_good_at(lock: Lock, clock: Clock, moment: float) -> bool:
    """Whether the lease holds at ``moment``, without letting it be lost by the question."""
    return float(lock._sent) + 10 > moment and clock() < moment  # type: ignore[attr-defined]


def test_a_lease_that_ran_out_is_taken_over(s3_store: SwapStore, holder: MakeHolder) -> None:
    dead = acquire(s3_store, ENVIRONMENT, holder("ann"), LeaseTerms(time.monotonic, 0.5, 600))
    with pytest.raises(LockHeld):
        acquire(s3_store, ENVIRONMENT, holder("bob"), TERMS)
    taken: list[Lock] = []

    def take() -> bool:
        try:
            taken.append(acquire(s3_store, ENVIRONMENT, holder("bob"), TERMS))
        except LockHeld:
            return False
        return True

    wait_until(take)
    with pytest.raises(LockLost):
        dead.check()
    taken[0].check()
    dead.release()
    assert current_holder(s3_store, ENVIRONMENT) == taken[0].holder
    taken[0].release()


def test_answers_that_get_lost_do_not_lose_the_lease(s3_store: SwapStore, holder: MakeHolder) -> None:
    forgetful = ForgetfulSwap(s3_store)
    with acquire(forgetful, ENVIRONMENT, holder("ann"), TERMS) as lock:
        lock.working_on("000001-deployment-a")
        lock.working_on("000002-deployment-b")
        lock.check()
    with acquire(forgetful, ENVIRONMENT, holder("bob"), TERMS):
        pass


def test_a_release_that_fails_does_not_hide_the_first_failure(
    s3_store: SwapStore, holder: MakeHolder
) -> None:
    cut = CutStore(s3_store)
    with pytest.raises(ZeroDivisionError) as caught, acquire(cut, ENVIRONMENT, holder("ann"), TERMS):
        cut.cut = True
        raise ZeroDivisionError
    assert "given back" in caught.value.__notes__[0]
    with pytest.raises(StateUnreachable):
        cut.put("x", b"")


def wait_until(done: Callable[[], bool]) -> None:
    for _ in range(400):
        if done():
            return
        time.sleep(0.025)
    raise AssertionError("it never happened")


class Passing:
    """A store that does what another does."""

    def __init__(self, inner: SwapStore) -> None:
        self.inner = inner
        self.url = inner.url
        self.get, self.get_many, self.keys = inner.get, inner.get_many, inner.keys
        self.folders, self.delete = inner.folders, inner.delete

    def put(self, key: str, body: bytes) -> None:
        self.inner.put(key, body)

    def create(self, key: str, body: bytes) -> None:
        self.inner.create(key, body)

    def swap(self, key: str, body: bytes, tag: str) -> str:
        return self.inner.swap(key, body, tag)


class ToldSwaps:
    """A bucket in memory, in which a swap waits until a test lets it, and tells what happens meanwhile."""

    url = "memory://"

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self._tags = itertools.count()
        self._came, self._let = threading.Semaphore(0), threading.Semaphore(0)
        self._meanwhile: Callable[[], None] = lambda: None
        self._free = False
        self.on_create: Callable[[], None] = lambda: None

    def one(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Let one swap be done, and wait for the next: what came of the first is known by then.

        ``meanwhile`` goes on before it is done.
        """
        self._meanwhile = meanwhile
        for let in (True, False):
            assert self._came.acquire(timeout=10), "nobody swaps any more"
            if let:
                self._let.release()
        self._came.release()

    def let_all(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """From now on swaps wait for nobody."""
        self._free, self._meanwhile = True, meanwhile
        self._let.release()

    def create(self, key: str, body: bytes) -> None:
        if key in self._objects:
            raise KeyTakenError(key)
        self.on_create()
        self.put(key, body)

    def put(self, key: str, body: bytes) -> None:
        self._objects[key] = Stored(body, str(next(self._tags)), datetime.now(UTC))

    def swap(self, key: str, body: bytes, tag: str) -> str:
        self._came.release()
        if not self._free:
            self._let.acquire()
        self._meanwhile()
        if self._objects[key].tag != tag:
            raise SwapLostError(key)
        self.put(key, body)
        return self._objects[key].tag

    def get(self, key: str) -> Stored | None:
        return self._objects.get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self._objects[key].body for key in keys if key in self._objects}

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self._objects if key.startswith(prefix))

    def folders(self, prefix: str) -> list[str]:
        return sorted({key.removeprefix(f"{prefix}/").partition("/")[0] for key in self.keys(prefix)})

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._objects.pop(key, None)


def unreachable() -> None:
    raise StateUnreachable("no route")


class CutStore(Passing):
    """No write arrives any more once ``cut``."""

    cut = False

    def put(self, key: str, body: bytes) -> None:
        self._require_line()
        super().put(key, body)

    def swap(self, key: str, body: bytes, tag: str) -> str:
        self._require_line()
        return super().swap(key, body, tag)

    def _require_line(self) -> None:
        if self.cut:
            raise StateUnreachable("cut", where=self.url)


class ForgetfulSwap(Passing):
    """Every swap arrives, its answer is lost, and the retry meets the swap itself."""

    def swap(self, key: str, body: bytes, tag: str) -> str:
        super().swap(key, body, tag)
        raise SwapLostError(key)


def test_who_is_patient_waits_until_the_lock_is_free(store: StateStore, holder: MakeHolder) -> None:
    held, told = acquire(store, ENVIRONMENT, holder("ann"), TERMS), list[tuple[str, float]]()

    def wait(other: Holder | None, seconds: float) -> None:
        told.append((other.owner if other else "", seconds))
        if len(told) == 3:
            held.release()

    with acquire(
        store, ENVIRONMENT, holder("bob"), LeaseTerms(time.monotonic, patience=60, wait=wait)
    ) as lock:
        assert lock.holder.owner == "bob"
    assert [owner for owner, _ in told] == ["ann"] * 3
    assert all(1 <= seconds <= 3 for _, seconds in told)


def test_patience_ends(store: StateStore, holder: MakeHolder) -> None:
    clock, waits = [0.0], list[float]()

    def wait(_: Holder | None, seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds

    with acquire(store, ENVIRONMENT, holder("ann"), TERMS):
        terms = LeaseTerms(lambda: clock[0], patience=10, wait=wait)
        with pytest.raises(LockHeld, match="ann"):
            acquire(store, ENVIRONMENT, holder("bob"), terms)
    assert clock == [10.0]
    assert 4 <= len(waits) <= 11
