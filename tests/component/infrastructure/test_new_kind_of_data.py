"""A new kind of data is a class of the settings, a carrier and two rows: all of a toy kind is in this file.

It goes the ordinary ways: settings, rights of the worker, plan, estimate, copy, proof and rollback.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from policy_reading import statements
from recorder import built, config, release

from regionshift.carriers.bounds import Bounds, OutOfBounds
from regionshift.carriers.carrier import (
    Before,
    Carried,
    Conflict,
    DataLocation,
    Entry,
    Item,
    Level,
    Limits,
    SourceVersion,
    Undone,
    VersionIdentity,
    Work,
)
from regionshift.carriers.kinds import KINDS, CarrierAccess, DataKind, all_carriers
from regionshift.carriers.migration import Migrations
from regionshift.carriers.named_values import Both, Description, NamedCarrier, decide
from regionshift.carriers.records import RecordStore
from regionshift.carriers.selection import Cursor, selector
from regionshift.function.clients import read_routes
from regionshift.infrastructure import carried
from regionshift.infrastructure.carried import CarryRights, named_reach
from regionshift.infrastructure.policies.statement import Condition, Statement, allow
from regionshift.infrastructure.site import Site
from regionshift.operations.migrations.carrying import Workers
from regionshift.operations.migrations.entries import bounds_of, entries
from regionshift.operations.migrations.estimating import as_json, estimate
from regionshift.operations.migrations.verifying import prove_again
from regionshift.operations.usable_keys import keys_of
from regionshift.settings.carry import Carry, CarryEnd, CarryEntry, KmsKey
from regionshift.settings.components import Component
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind
from regionshift.settings.rules import broken_rules

pytestmark = pytest.mark.component
SOURCE, TARGET = "us-east-1", "eu-west-1"


class CarryNotes(CarryEntry):
    """Notes whose names begin alike."""

    begins: str
    """What their names begin with."""
    kms_key: KmsKey | None = None
    """A key of your own."""

    @property
    def ends(self) -> tuple[CarryEnd, CarryEnd]:
        return CarryEnd(prefix=self.begins), CarryEnd(prefix=self.begins)


class CarryWithNotes(Carry):
    notes: tuple[CarryNotes, ...] = ()


class ConfigWithNotes(MigrationConfig):
    carry: CarryWithNotes = CarryWithNotes()


class Notes(NamedCarrier):
    """Carries notes: texts under a name, whose versions are numbered."""

    kind: ClassVar[str] = "notes"
    what: ClassVar[str] = "Notes"

    def __init__(self, regions: Mapping[str, dict[str, list[str]]]) -> None:
        self._regions = regions

    def check(self, entry: Entry) -> Limits:
        del entry
        return Limits("for ever")

    def inventory(
        self, entry: Entry, carried: Iterator[Carried], *, deep: bool = False, left_behind: bool = False
    ) -> Iterator[Item]:
        del deep, left_behind
        ours, selects = Cursor(carried, lambda line: line.key), selector(entry)
        for name in sorted(self._regions[entry.source.region]):
            key = name.removeprefix(entry.source.prefix)
            if not name.startswith(entry.source.prefix) or not selects(key):
                continue
            source, target = self._version(entry.source, key), self._version(entry.target, key)
            assert source
            state, reason = decide(ours.at(key), source, target)
            size = len(self._of(entry.source, key)[-1])
            yield Item(key, state, (SourceVersion(source.id, size=size),), reason)

    def describe_before(self, work: Work) -> Mapping[str, Before]:
        found = {item.key: self._version(work.entry.target, item.key) for item in work.items}
        return {key: Before(key, str(version) if version else None) for key, version in found.items()}

    def recover(self, work: Work, before: Mapping[str, Before]) -> Mapping[str, tuple[str, ...]]:
        found = {item.key: self._version(work.entry.target, item.key) for item in work.items}
        return {key: (str(made),) for key, made in found.items() if made and str(made) != before[key].version}

    def _of(self, place: DataLocation, key: str) -> list[str]:
        return self._regions[place.region].setdefault(place.prefix + key, [])

    def _version(self, place: DataLocation, key: str) -> VersionIdentity | None:
        texts = self._regions[place.region].get(place.prefix + key)
        return VersionIdentity(str(len(texts))) if texts else None

    def _described(self, place: DataLocation, keys: Sequence[str]) -> Callable[[str], Description | None]:
        del keys
        return lambda key: {"version": self._version(place, key)} if self._version(place, key) else None

    def _carry(self, work: Work, item: Item, before: Before, both: Both, made: list[str]) -> None:
        del before, both
        if not made:
            target = self._of(work.entry.target, item.key)
            target.append(self._of(work.entry.source, item.key)[int(item.versions[-1].id) - 1])
            made.append(str(len(target)))

    def _problem(self, entry: Entry, item: Item, made: VersionIdentity, level: Level, both: Both) -> str:
        del level, both
        source = self._of(entry.source, item.key)[int(item.versions[-1].id) - 1]
        return "" if self._of(entry.target, item.key)[int(made.id) - 1] == source else "texts differ"

    def _shows(self, there: Description | None, made: VersionIdentity) -> bool:
        return there is not None and there["version"] == made

    def _take_back(
        self, work: Work, item: Item, before: Before, made: VersionIdentity, there: Description | None
    ) -> Undone | Conflict:
        if there is None or there["version"] != made:
            return Conflict(item.key, "someone else has written here since")
        del self._of(work.entry.target, item.key)[int(before.version or 0) :]
        return Undone(item.key, "deleted")


def rights(site: Site, by_pattern: bool) -> CarryRights | None:
    """Read notes everywhere, write those of one region."""
    reach = named_reach(site, "notes", "note/", by_pattern)
    return CarryRights(Component("worker-notes", NameKind.ROLE_POLICY), made_of, reach) if reach else None


def made_of(read: Sequence[str], write: Sequence[str], regions: Sequence[str]) -> list[Statement]:
    there: Condition = {"StringEquals": {"aws:RequestedRegion": list(regions)}}
    return [
        allow("ReadNotes", ["notes:Get"], read, condition=there),
        allow("WriteNotes", ["notes:Delete", "notes:Put"], write),
    ]


class Kept(RecordStore):
    """Records in memory, unsealed."""

    region, bucket = TARGET, "records"  # type: ignore[assignment]

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}

    def put(self, name: str, body: bytes) -> str:
        self.bodies[name] = body
        return hashlib.sha256(body).hexdigest()

    def look(self, name: str) -> tuple[bytes, str] | None:
        body = self.bodies.get(name)
        return None if body is None else (body, hashlib.sha256(body).hexdigest())

    def exists(self, name: str) -> bool:
        return name in self.bodies

    def delete(self, name: str) -> None:
        del self.bodies[name]

    def names(self, prefix: str) -> Iterator[str]:
        return iter(sorted(name for name in self.bodies if name.startswith(prefix)))

    def _put_if(self, name: str, body: bytes, condition: Mapping[str, str]) -> bool:
        found = self.look(name)
        if (found[1] if found else None) != condition.get("If-Match"):
            return False
        self.put(name, body)
        return True


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, list[str]]]:
    """Notes by region and name; the kind has its two rows."""
    found = {
        SOURCE: {"app/a": ["old", "new"], "app/b": ["b"], "other": ["x"]},
        TARGET: {"app/a": ["was"]},
    }
    kind = DataKind(lambda _: cast(Any, Notes(found)), service="notes", too_long=lambda _: "")
    monkeypatch.setitem(KINDS, "notes", kind)
    monkeypatch.setitem(carried.RIGHTS, "notes", rights)
    return found


def settings(*notes: dict[str, Any]) -> ConfigWithNotes:
    return ConfigWithNotes.model_validate({**config().model_dump(), "carry": {"notes": notes}})


@pytest.fixture
def migrations(regions: object) -> Migrations:
    del regions
    found, transport = settings({"begins": "app/"}), cast(Any, SimpleNamespace(connections=1))
    carriers = all_carriers(CarrierAccess(transport, cast(Any, None)))
    store = Kept()
    bounds = bounds_of(found, TARGET, store.bucket)
    return Migrations(store, carriers, bounds, lambda: datetime(2030, 1, 1, tzinfo=UTC))


def test_it_is_planned_estimated_copied_proven_and_taken_back(
    regions: dict[str, dict[str, list[str]]], migrations: Migrations
) -> None:
    found, was = settings({"begins": "app/"}), {name: list(texts) for name, texts in regions[TARGET].items()}
    wanted, migration = entries(found, SOURCE, TARGET), migrations.of("m")

    planned = migration.plan(wanted, Level.FULL)
    assert planned.counts == {"new": 1, "changed": 1, "same": 0, "conflict": 0}
    about = estimate(found, planned, Workers(40, 40))
    assert about.requests > 0
    told = as_json(planned, about, Workers(40, 40), source=SOURCE, target=TARGET, on_failure="rollback")[
        "entries"
    ]
    assert [(each["kind"], each["source"], each["undo_until"]) for each in told] == [
        ("notes", "app/", "for ever")
    ]
    assert regions[TARGET] == was, "a plan changes nothing"

    done = migration.migrate(wanted, Level.FULL)
    assert (done["status"], done["counts"]) == ("completed", {"written": 2, "proven": 2})
    assert regions[TARGET] == {"app/a": ["was", "new"], "app/b": ["b"]}
    assert prove_again(migration.records, migrations.carriers, done).whole
    assert migrations.of("next").plan(wanted, Level.FULL).counts["same"] == 2

    back = migration.rollback("changed my mind")
    assert (back["status"], back["counts"]) == ("completed", {"undone": 2})
    assert {name: texts for name, texts in regions[TARGET].items() if texts} == was


def test_the_worker_may_touch_what_is_named_of_it(regions: object) -> None:
    del regions
    key = "alias/notes-{region}"
    found = settings({"begins": "app-{region}/", "kms_key": key})
    account = found.account

    given = {one.statement["Sid"]: one.statement for one in statements(built(found)) if TARGET in one.name}

    assert given["WriteNotes"]["Resource"] == [f"arn:aws:notes:{TARGET}:{account}:note/app-{TARGET}/*"]
    assert f"arn:aws:notes:{SOURCE}:{account}:note/app-{SOURCE}/*" in given["ReadNotes"]["Resource"]
    through = given["WriteWithKeys0"]["Condition"]["StringEquals"]["kms:ViaService"]
    assert through == [f"notes.{TARGET}.amazonaws.com"]
    assert "alias/notes-" + TARGET in {each.key for each in keys_of(found, [TARGET])}

    told = carried.routes(Site(TARGET, release(found)))
    worker = Bounds("records", read_routes(told, TARGET))
    worker.require(entries(found, SOURCE, TARGET), "m")
    with pytest.raises(OutOfBounds):
        worker.require(entries(settings({"begins": "other"}), SOURCE, TARGET), "m")


def test_two_entries_of_it_that_write_the_same_are_refused(regions: object) -> None:
    del regions
    broken = list(broken_rules(settings({"begins": "app/"}, {"begins": "app/", "include": ["a*"]})))
    assert [path for path, *_ in broken] == [("carry", "notes", 1)]


def test_every_kind_is_known_everywhere() -> None:
    """Settings, carriers and rights cannot import one another: a row is not forgotten in one of them."""
    assert list(KINDS) == list(Carry.model_fields) == list(carried.RIGHTS)
    samples: dict[str, Any] = {"s3": {"prefix": "a"}, "ssm": {"path": "/a"}, "secrets": {"name": "a"}}
    for kind, found in Carry.model_validate({kind: [samples[kind]] for kind in KINDS}).entries:
        assert KINDS[kind].in_buckets is (found.ends[0].bucket is not None)
