"""Where the state of `bootstrap` is, whenever it is killed; and what keeps its bucket from going."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from regionshift.errors import Refused
from regionshift.journal.backends import FileStore
from regionshift.operations.bootstrap import (
    BucketContents,
    move_state,
    other_pipelines,
    require_free,
    state_object,
)
from regionshift.settings.names import Identity

ACCOUNT = Identity("regionshift", "bootstrap", "aws", "123456789012")
OWN = Identity("shop", "dev", "aws", "123456789012")
MARKER = state_object(ACCOUNT)


@dataclass
class Life:
    """How many changes of any store a process lives to make."""

    left: int

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


class DyingStore(FileStore):
    """A store of a process that is killed."""

    def __init__(self, root: Path, life: Life) -> None:
        super().__init__(root)
        self._life = life

    def put(self, key: str, body: bytes) -> None:
        self._life.spend()
        super().put(key, body)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._life.spend()
            super().delete([key])


def begun(root: Path) -> FileStore:
    store = FileStore(root)
    for key in (MARKER, state_object(OWN), "engine/aws-123456789012/.pulumi/meta.yaml"):
        store.put(key, f"state of {key}".encode())
    store.put("locks/shop.dev.json", b"{}")
    return store


def whole(store: FileStore) -> bool:
    found = {key: store.get(key) for key in (MARKER, state_object(OWN))}
    return all(kept and kept.body == f"state of {key}".encode() for key, kept in found.items())


@pytest.mark.parametrize("changes", range(6))
def test_wherever_a_move_is_killed_one_place_has_the_whole_state_and_says_so(
    tmp_path: Path, changes: int
) -> None:
    source, target = begun(tmp_path / "source"), FileStore(tmp_path / "target")
    life = Life(changes)
    with pytest.raises(KeyboardInterrupt):
        move_state(DyingStore(source.root, life), DyingStore(target.root, life), MARKER)
    assert whole(target if target.get(MARKER) else source)
    if not target.get(MARKER):
        move_state(source, target, MARKER)
    assert whole(target)


def test_a_move_leaves_locks_and_takes_the_state_away(tmp_path: Path) -> None:
    source, target = begun(tmp_path / "source"), FileStore(tmp_path / "target")
    move_state(source, target, MARKER)
    assert source.keys("engine") == []
    assert source.keys("locks") == ["locks/shop.dev.json"]
    assert target.keys("locks") == []


def test_other_pipelines_of_the_account_are_known_by_their_states(tmp_path: Path) -> None:
    store = begun(tmp_path)
    assert other_pipelines(store, ACCOUNT, OWN) == []
    store.put(state_object(Identity("shop", "prod", "aws", "123456789012")), b"{}")
    store.put(state_object(OWN) + ".bak", b"{}")
    assert other_pipelines(store, ACCOUNT, OWN) == ["shop prod"]


@pytest.mark.parametrize(
    ("held", "allowed", "said"),
    [
        (BucketContents(("shop.dev",), True, ()), True, "shop.dev"),
        (BucketContents((), False, ("reports",)), True, "reports"),
        (BucketContents((), True, ()), False, "gone"),
    ],
)
def test_the_bucket_stays_while_it_holds_what_is_not_ours_to_delete(
    held: BucketContents, allowed: bool, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        require_free(held, allow_data_loss=allowed)


@pytest.mark.parametrize(
    ("held", "allowed"), [(BucketContents((), False, ()), False), (BucketContents((), True, ()), True)]
)
def test_else_it_may_go(held: BucketContents, allowed: bool) -> None:
    require_free(held, allow_data_loss=allowed)
