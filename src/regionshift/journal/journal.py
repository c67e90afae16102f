"""The append-only record of every run of one environment.

``journal/<environment>/runs/<number>/<sequence>.json`` holds one event. An event is a create-only put of the next
sequence, so two writers never lose an event. Runs are numbered the same way (their first event is a create-only put),
so their order needs no clock. ``closed/<number>.json`` is a copy of how a finished run ended. With it ``history`` is
one listing and one small read a run. The copy can be made from the events at any time.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from regionshift import logs
from regionshift.errors import InputError, Refused
from regionshift.journal.events import (
    RUN,
    Event,
    Kind,
    Phase,
    RunSummary,
    RunView,
    damaged,
    decode,
    decode_summary,
    encode,
    encode_summary,
    fold,
    summarize,
    view_without_steps,
)
from regionshift.journal.sealing import SecretKey, add_seal, has_seal
from regionshift.journal.store import KeyTakenError, StateDamaged, StateStore

_ReadT = TypeVar("_ReadT")
_ATTEMPTS = 1000
_CROWDED = "see who works on it: regionshift status; when they are done, run the command again"


class NotSealed(Refused):
    """An object in the journal was not written by this environment's commands."""

    error_id = "RS-STATE-003"

    def __init__(self, where: str) -> None:
        super().__init__(
            "An event of the journal is not sealed with this state's key, so Regionshift does not act on it.",
            where=where,
            remedy="an earlier version of regionshift wrote it, or somebody without the key (of `state_secrets`, or"
            " .regionshift/state.key): look at the runs with `regionshift history`. If all are yours,"
            " `regionshift history --seal` takes them as they are; take away what is not",
        )


class TakenNotSealed(Refused):
    """The record of accepted earlier events was not written by `history --seal`."""

    error_id = "RS-STATE-003"

    def __init__(self, where: str) -> None:
        super().__init__(
            "The record of accepted runs of earlier versions is not sealed with this state's key.",
            where=where,
            remedy="delete that object; then `regionshift history --seal` shows those runs again and asks",
        )


class Journal:
    """The journal of one environment.

    Args:
        store: the state URL, opened.
        environment: names the environment under the state URL (letters, digits, ``.``, ``_``, ``-``).
        now: the current time, with a zone.
        guard: called before every write. It raises when this process may no longer write (the lock's ``check``).
        working_on: called with the id of each run that is started or reopened.
        by: the person, for the runs that are started.
        changing: called when a step begins to change something, and when a step is done.
        key: the state's key, which seals what is written.
        acted_on: the caller acts on what it reads, so everything without a seal is refused.
    """

    def __init__(
        self,
        store: StateStore,
        environment: str,
        now: Callable[[], datetime],
        guard: Callable[[], None] = lambda: None,
        working_on: Callable[[str], None] = lambda _: None,
        by: str = "",
        *,
        changing: Callable[[], None] = lambda: None,
        key: SecretKey | None = None,
        acted_on: bool = False,
    ) -> None:
        self.store = store
        self.now = now
        self.guard = guard
        self.changing = changing
        self._working_on = working_on
        self._by = by
        self.folder = f"journal/{environment}"
        self._runs = f"{self.folder}/runs"
        self._closed = f"{self.folder}/closed"
        self._earlier = f"{self.folder}/earlier.json"
        self._damage: dict[str, None] = {}
        self._key = key
        self._strict = key is not None and acted_on
        self._taken: Mapping[str, str] | None = None
        # A closed run does not change, so its copy is read once.
        self._known_copies: dict[str, RunSummary] = {}
        self._read_once: dict[tuple[str, str], Any] | None = None

    def as_it_stands(self) -> Journal:
        """A view for a command that only reads. Each part is read once, so that all parts fit together."""
        found = copy.copy(self)
        found._read_once = {}
        return found

    def start(self, kind: Kind, data: Mapping[str, object]) -> RunJournal:
        """Begin a run: give it a number, and make its opening event durable."""
        data = {**data, "by": self._by} if self._by else data
        numbers = self._numbers()
        number = int(numbers[-1]) + 1 if numbers else 1
        for attempt in range(number, number + _ATTEMPTS):
            run_id = f"{attempt:06d}-{kind}-{uuid.uuid4().hex[:6]}"
            opening = RunJournal(self, self._folder(run_id), run_id, kind)
            if opening.try_append(Event(1, run_id, kind, RUN, "before", None, data, self.now())):
                logs.run_opens(run_id)
                self._working_on(run_id)
                return opening
        raise Refused(
            "too many other runs begin at the same time: no run number was free",
            where=self.store.url,
            remedy=_CROWDED,
            error_id="RS-STATE-007",
        )

    def reopen(self, run_id: str) -> RunJournal:
        """Continue to write an open run. Raises Refused when it is finished, or a newer tool wrote it."""
        view = self.view(run_id)
        if view.newer:
            raise Refused(
                f"run {view.run_id} was written by a newer version of regionshift",
                remedy="continue it with that version",
                error_id="RS-STATE-006",
            )
        if view.outcome is not None:
            raise Refused(
                f"run {view.run_id} is finished: {view.outcome}",
                remedy="start a new one",
                error_id="RS-RUN-004",
            )
        logs.run_opens(view.run_id)
        self._working_on(view.run_id)
        return RunJournal(self, self._folder(view.run_id), view.run_id, view.kind, view.last_sequence)

    def events(self, run_id: str) -> list[Event]:
        """Every event of a run, in order. ``run_id`` may also be the run's number, or the beginning of its id.

        Raises:
            InputError: there is no such run.
            StateDamaged: an event cannot be read, or has the name of another.
        """
        number, dash, rest = run_id.partition("-")
        if not number.isascii() or not number.isdigit():
            raise _no_run(run_id, self.store)
        found = self._events_of(f"{int(number):06d}")
        if not found or not found[0].run_id.startswith(f"{int(number):06d}{dash}{rest}"):
            raise _no_run(run_id, self.store)
        return found

    def view(self, run_id: str) -> RunView:
        """The fold of the events of a run.

        Raises as :meth:`events`. A damaged run that has ended is given without its steps, if its first event and its
        copy can be read.
        """
        try:
            return fold(self.events(run_id))
        except StateDamaged as error:
            number = f"{int(run_id.partition('-')[0]):06d}"
            found = self._copy(number)
            first = self._first(number) if found is not None else None
            if found is None or first is None or first.run_id != found.run_id:
                raise
            self._tell(error)
            return view_without_steps(found, first)

    def view_or_none(self, run_id: str) -> RunView | None:
        """As `view`. None, with a note in `damage`, for a run that cannot be read."""
        try:
            return self.view(run_id)
        except StateDamaged as error:
            self._tell(error)
            return None

    @property
    def damage(self) -> tuple[str, ...]:
        """A sentence for each damaged run that was read from its copy, or not at all."""
        return tuple(self._damage)

    def history(self, limit: int | None = None) -> list[RunSummary]:
        """The newest runs, the newest first. Open ones are read in full, finished ones from their copy."""
        numbers = self._numbers()[::-1][:limit]
        wanted = set(numbers)
        closed = self._copies(wanted & self._copied())
        runs = (closed.get(number) or self._summary(number) for number in numbers)
        return [run for run in runs if run is not None]

    def unfinished(self) -> list[RunView]:
        """Every open run, the newest first."""
        copied = self._copied()
        if self._strict:
            # A copy that somebody else wrote must not hide an open run.
            copied = {number for number, found in self._copies(copied).items() if found}
        numbers = [number for number in self._numbers()[::-1] if number not in copied]
        views = [fold(events) for events in map(self._events_of, numbers) if events]
        return [view for view in views if view.outcome is None]

    def copy_closed(self, view: RunView) -> None:
        """Keep a copy of how a finished run ended, for `history`."""
        number = view.run_id.partition("-")[0]
        name = f"{self._closed}/{number}.json"
        body = self.sealed(name, encode_summary(summarize(view)))
        try:
            self.store.create(name, body)
        except KeyTakenError:
            if self._strict and self._copy(number) is None:  # somebody else's
                self.store.put(name, body)

    def sealed(self, name: str, body: bytes) -> bytes:
        """``body`` with the seal for ``name``, if there is a key."""
        return body if self._key is None else add_seal(self._key, name, body)

    def unsealed(self) -> dict[str, str]:
        """{place: SHA-256 (hex)} of the events and copies without a seal that no person has accepted yet.

        Torn objects are not among them: they are damage, and nobody acts on them.

        Raises:
            TakenNotSealed: the record of what a person accepted before has no seal.
        """
        if self._key is None:
            return {}
        bodies = self.store.get_many([*self.store.keys(self._runs), *self.store.keys(self._closed)])
        return {
            name: _digest(body)
            for name, body in bodies.items()
            if _number_in(name).isdigit() and not _is_torn(body) and not self._is_ours(name, body)
        }

    def runs_of(self, places: Iterable[str]) -> list[RunSummary]:
        """The runs that have events or copies at ``places``, the newest first, by their events.

        Not by their copies: an unsealed copy may differ from the events.
        """
        numbers = {_number_in(place) for place in places} & {*self._numbers()}
        return [summarize(self.view(number)) for number in sorted(numbers, reverse=True)]

    def take(self, unsealed: Mapping[str, str]) -> None:
        """Accept what :meth:`unsealed` found, from now on: a person has looked at it."""
        self.guard()
        kept = {**self._taken_earlier(), **unsealed}
        self.store.put(self._earlier, self.sealed(self._earlier, json.dumps({"events": kept}).encode()))
        self._taken = kept

    def _numbers(self) -> list[str]:
        """The number of every run, in order. Other folders are ignored."""
        names = self._once("folders", self._runs, self.store.folders)
        return [name for name in names if name.isascii() and name.isdigit()]

    def _copied(self) -> set[str]:
        """The numbers of the runs that have a copy."""
        return set(map(_number_of, self._once("keys", self._closed, self.store.keys)))

    def _once(self, what: str, of: str, read: Callable[[str], _ReadT]) -> _ReadT:
        """``read(of)``. A journal `as_it_stands` calls it once."""
        if self._read_once is None:
            return read(of)
        if (what, of) not in self._read_once:
            self._read_once[what, of] = read(of)
        found: _ReadT = self._read_once[what, of]
        return found

    def _summary(self, number: str) -> RunSummary | None:
        """The run from its events; None when it was killed between taking its number and its first event."""
        events = self._events_of(number)
        return summarize(fold(events)) if events else None

    def _folder(self, run_id: str) -> str:
        return f"{self._runs}/{run_id.partition('-')[0]}"

    def _events_of(self, number: str) -> list[Event]:
        return list(self._once("events", number, self._read))

    def _read(self, number: str) -> list[Event]:
        """The events of a run. When the last one is damaged, the run's copy replaces it."""
        bodies = sorted(self.store.get_many(self.store.keys(f"{self._runs}/{number}")).items())
        events: list[Event] = []
        for key, body in bodies:
            try:
                event = self._event(key, body)
            except StateDamaged as error:
                closing = self._closing(number, events) if len(events) == len(bodies) - 1 else None
                if closing is None:
                    raise
                self._tell(error)
                event = closing
            events.append(event)
        return events

    def _event(self, key: str, body: bytes) -> Event:
        where = f"{self.store.url}/{key}"
        event = decode(body, where)
        if self._strict and not self._is_ours(key, body):
            raise NotSealed(where)
        if _number_of(key) != f"{event.sequence:08d}":
            raise damaged("an event stands under another's name", where, "moved")
        return event

    def _first(self, number: str) -> Event | None:
        key = f"{self._runs}/{number}/{1:08d}.json"
        stored = self.store.get(key)
        return self._event(key, stored.body) if stored else None

    def _copy(self, number: str) -> RunSummary | None:
        return self._copies([number]).get(number)

    def _copies(self, numbers: Iterable[str]) -> dict[str, RunSummary | None]:
        """The copies of finished runs by number; None for a copy that cannot be used."""
        wanted = set(numbers)
        missing = wanted - self._known_copies.keys()
        bodies = self.store.get_many(f"{self._closed}/{number}.json" for number in missing)
        read = {_number_of(name): self._summary_in(name, body) for name, body in bodies.items()}
        self._known_copies |= {number: found for number, found in read.items() if found}
        return {
            **read,
            **{number: self._known_copies[number] for number in wanted & self._known_copies.keys()},
        }

    def _summary_in(self, name: str, body: bytes) -> RunSummary | None:
        found = decode_summary(body)
        return found if found and (not self._strict or self._is_ours(name, body)) else None

    def _is_ours(self, name: str, body: bytes) -> bool:
        return self._has_seal(name, body) or self._taken_earlier().get(name) == _digest(body)

    def _has_seal(self, name: str, body: bytes) -> bool:
        try:
            return self._key is None or has_seal(self._key, name, body)
        except (ValueError, RecursionError):
            return False

    def _taken_earlier(self) -> Mapping[str, str]:
        if self._taken is None:
            kept = self.store.get(self._earlier)
            if kept is not None and not self._has_seal(self._earlier, kept.body):
                raise TakenNotSealed(f"{self.store.url}/{self._earlier}")
            self._taken = dict(json.loads(kept.body)["events"]) if kept else {}
        return self._taken

    def _closing(self, number: str, before: list[Event]) -> Event | None:
        """The event that closed a run, from its copy; None when there is no copy of this run."""
        found = self._copy(number)
        if found is None or found.ended is None or not before or found.run_id != before[0].run_id:
            return None
        return Event(len(before) + 1, found.run_id, found.kind, RUN, "after", None, found.result, found.ended)

    def _tell(self, error: StateDamaged) -> None:
        self._damage[f"{error.message} [{error.where}]; how that run ended is known from its copy"] = None


class RunJournal:
    """Writes one open run. Safe for several threads and several processes."""

    def __init__(self, journal: Journal, folder: str, run_id: str, kind: str, last: int = 0) -> None:
        self.run_id = run_id
        self._journal = journal
        self._folder = folder
        self._kind = kind
        self._last = last
        self._mutex = threading.Lock()

    def append(
        self,
        step: str,
        phase: Phase,
        region: str | None = None,
        data: Mapping[str, object] | None = None,
        *,
        only_looks: bool = False,
    ) -> Event:
        """Add an event. It is durable when this returns.

        Args:
            only_looks: the step that begins changes nothing before it is done.

        Raises StateUnreachable when it may not be durable, and what the journal's guard raises.
        """
        event = Event(0, self.run_id, self._kind, step, phase, region, data or {}, self._journal.now())
        with self._mutex:
            for _ in range(_ATTEMPTS):
                numbered = replace(event, sequence=self._last + 1)
                if self.try_append(numbered):
                    if phase != "failed" and not only_looks:
                        self._journal.changing()
                    return numbered
        raise Refused(
            "too many others write to this run at the same time",
            where=self._folder,
            remedy=_CROWDED,
            error_id="RS-STATE-007",
        )

    def close(
        self, outcome: str, data: Mapping[str, object] | None = None, *, failed: bool = False
    ) -> RunView:
        """End the run with its outcome. ``data`` is its result."""
        self.append(RUN, "failed" if failed else "after", None, {**(data or {}), "outcome": outcome})
        view = self.view()
        self._journal.copy_closed(view)
        logs.run_closes(self.run_id)
        return view

    def view(self) -> RunView:
        """The fold of the run's events, including those of other processes."""
        return self._journal.view(self.run_id)

    def try_append(self, event: Event) -> bool:
        """Write the event under its sequence; False when another event has it.

        When the library retries a put, the retry may find the first attempt. The event's id shows that.
        """
        self._journal.guard()
        key = f"{self._folder}/{event.sequence:08d}.json"
        body = self._journal.sealed(key, encode(replace(event, id=uuid.uuid4().hex)))
        where = {"step": event.step, "phase": event.phase, "region": event.region}
        try:
            with logs.timed("journal", run=self.run_id, sequence=event.sequence, **where):
                self._journal.store.create(key, body)
        except KeyTakenError:
            found = self._journal.store.get(key)
            if found is None:
                return False
            if found.body != body:
                self._last = event.sequence
                return False
        self._last = event.sequence
        return True


def _is_torn(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return True
    return False


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _number_of(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _number_in(place: str) -> str:
    """The run's number in ``journal/<environment>/runs/<number>/…`` or ``…/closed/<number>.json``."""
    return place.removesuffix(".json").split("/")[3]


def _no_run(run_id: str, store: StateStore) -> InputError:
    return InputError(
        f"There is no run {run_id!r}.",
        where=store.url,
        remedy="see: regionshift history",
        error_id="RS-RUN-001",
    )
