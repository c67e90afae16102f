"""A service that does not say what a batch is about fails the batch plainly, or is asked again later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from regionshift.carriers import named_values
from regionshift.carriers.batch import Batch
from regionshift.carriers.bounds import Bounds
from regionshift.carriers.carrier import (
    Before,
    DataLocation,
    Entry,
    Item,
    ItemState,
    Level,
    SourceVersion,
    UnfinishedItem,
    Work,
    Written,
)
from regionshift.carriers.lines import before_line, entry_line, item_line, to_bytes
from regionshift.carriers.records import Layout, MigrationRecords, RecordStore
from regionshift.carriers.secrets import Secrets
from regionshift.carriers.ssm import Parameters
from regionshift.errors import WorkFailed

LAYOUT = Layout("m")
BOUNDS = Bounds("records", ())


class Silent:
    """A client that answers every call with one error."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def refuse(**_: Any) -> None:
            raise ClientError({"Error": {"Code": self._code, "Message": "private"}}, operation)

        return refuse


class Kept:
    """Records in memory."""

    bucket = "records"

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.bodies.get(name)

    def exists(self, name: str) -> bool:
        return name in self.bodies

    def put(self, name: str, body: bytes) -> None:
        self.bodies[name] = body

    def create(self, name: str, body: bytes) -> bool:
        return self.bodies.setdefault(name, body) is body


def batch_of(kind: str, *, begun: bool) -> Kept:
    """The records of a planned batch of one item; ``begun``: by a call that died."""
    kept = Kept()
    entry = Entry(kind, DataLocation("us-east-1", prefix="/app/"), DataLocation("eu-west-1", prefix="/app/"))
    item = Item("key", ItemState.NEW, (SourceVersion("1"),))
    head = {"batch": 0, "entry": entry_line(entry), "level": "full", "after": ""}
    kept.put(LAYOUT.plan(0), to_bytes([head, item_line(item)]))
    if begun:
        kept.put(LAYOUT.before(0), to_bytes([before_line(Before("key"))]))
    return kept


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_values.time, "sleep", lambda _: None)
    monkeypatch.setattr(Bounds, "require", lambda *_: None)


@pytest.mark.parametrize("kind", ["ssm", "secrets"])
@pytest.mark.parametrize("step", ["first", "again", "back"])
def test_what_cannot_be_looked_at_fails_the_batch_in_words(kind: str, step: str) -> None:
    def run(code: str) -> Any:
        store = cast(RecordStore, batch_of(kind, begun=step != "first"))
        client = Silent(code)
        carriers: Any = {"ssm": Parameters(lambda *_: client), "secrets": Secrets(lambda *_: client)}
        batch = Batch(MigrationRecords(store, "m"), carriers, BOUNDS, 0, lambda: True)
        return batch.undo() if step == "back" else batch.run()

    with pytest.raises(WorkFailed, match=r"cannot be read: .* answered AccessDeniedException") as told:
        run("AccessDeniedException")
    assert "private" not in told.value.message
    assert told.value.where == "us-east-1 to eu-west-1"
    assert told.value.remedy
    with pytest.raises(WorkFailed, match="InternalServerError"):
        run("InternalServerError")
    assert run("ThrottlingException").more, "later it will answer"


@pytest.mark.parametrize("step", ["copy", "verify", "undo"])
def test_parameters_that_cannot_be_listed_any_more_are_told_as_that(step: str) -> None:
    entry = Entry("ssm", DataLocation("us-east-1", prefix="/app/"), DataLocation("eu-west-1", prefix="/app/"))
    item = Item("key", ItemState.NEW, (SourceVersion("1"),))
    work = Work("m", entry, [item], cast(Any, None), lambda: True)

    def answers(code: str) -> list[Any]:
        carrier = Parameters(lambda *_: Silent(code))
        written = {"key": ("1",)}
        if step == "verify":
            return list(carrier.verify(work, {"key": Written("key", ("1",))}, Level.FULL))
        return list(getattr(carrier, step)(work, {"key": Before("key")}, written))

    with pytest.raises(WorkFailed, match="Parameters cannot be read"):
        answers("AccessDeniedException")
    assert answers("ThrottlingException") == [UnfinishedItem("key")]
