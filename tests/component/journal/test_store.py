"""What the state URL promises, on both backends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regionshift.errors import InputError
from regionshift.journal import backends
from regionshift.journal.backends import open_state
from regionshift.journal.store import (
    Credentials,
    KeyTakenError,
    S3Access,
    StateStore,
    StateUnreachable,
    SwapLostError,
    SwapStore,
)


def test_what_is_put_is_read_back(store: StateStore) -> None:
    store.put("a/b.json", b"one")
    store.put("a/b.json", b"two")
    found = store.get("a/b.json")
    assert found is not None
    assert found.body == b"two"
    assert found.modified.tzinfo is not None


def test_what_is_not_there_is_none_and_lists_empty(store: StateStore) -> None:
    assert store.get("nothing/here") is None
    assert store.keys("nothing") == []
    assert store.folders("nothing") == []
    store.delete(["nothing/here"])


def test_listing_is_ordered_and_by_folder(store: StateStore) -> None:
    for key in ("runs/2/1", "runs/1/2", "runs/1/1", "runsx/1"):
        store.create(key, b"")
    assert store.keys("runs") == ["runs/1/1", "runs/1/2", "runs/2/1"]
    assert store.folders("runs") == ["1", "2"]


def test_get_many_leaves_out_what_is_gone(store: StateStore) -> None:
    store.create("a", b"1")
    assert store.get_many(["a", "b"]) == {"a": b"1"}


def test_delete_removes(store: StateStore) -> None:
    store.create("a/1", b"")
    store.delete(["a/1"])
    assert store.get("a/1") is None
    store.create("a/1", b"again")


def test_create_has_one_winner(store: StateStore) -> None:
    def attempt(writer: int) -> bool:
        try:
            store.create("one", str(writer).encode())
        except KeyTakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [writer for writer, mine in zip(range(24), pool.map(attempt, range(24)), strict=True) if mine]
    found = store.get("one")
    assert found is not None
    assert [found.body] == [str(writer).encode() for writer in won]


def test_swap_loses_to_whoever_was_first(s3_store: SwapStore) -> None:
    s3_store.create("lease", b"a")
    first = s3_store.get("lease")
    assert first is not None
    tag = s3_store.swap("lease", b"b", first.tag)
    with pytest.raises(SwapLostError):
        s3_store.swap("lease", b"c", first.tag)
    s3_store.swap("lease", b"d", tag)


@pytest.mark.parametrize("key", ["../up", "/abs", "a//b", "a/../b", "a/./b", "a/..", "", ".hidden", "a b"])
def test_keys_stay_inside_the_state(store: StateStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a state key"):
        store.put(key, b"")


def test_files_leave_nothing_aside_and_are_for_the_owner_only(file_store: StateStore, tmp_path: Path) -> None:
    file_store.create("a/1", b"x")
    with pytest.raises(KeyTakenError):
        file_store.create("a/1", b"y")
    root = tmp_path / "state"
    assert list((root / ".writing").iterdir()) == []
    assert root.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "url", ["relative/path", "file://host/x", "file://", "s3:///x", "http://a/b", "s3://b/p?x=1"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InputError) as refused:
        open_state(url)
    assert url in refused.value.message
    assert refused.value.where == "state"
    assert str(refused.value.remedy).startswith("write the state as ")


def test_a_bucket_without_credentials_is_refused() -> None:
    with pytest.raises(InputError, match="needs credentials") as refused:
        open_state("s3://bucket/prefix")
    assert refused.value.where == "state"


def test_a_file_where_the_state_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StateUnreachable) as caught:
        open_state((tmp_path / "state").as_uri())
    assert str(tmp_path / "state") in str(caught.value.where)


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.get("run/1"),
        lambda store: store.put("run/1", b""),
        lambda store: store.create("run/1", b""),
        lambda store: store.delete(["run/1"]),
    ],
    ids=["get", "put", "create", "delete"],
)
def test_a_file_where_a_folder_should_be_is_said(
    use: Callable[[StateStore], object], file_store: StateStore
) -> None:
    file_store.put("run", b"in the way")
    with pytest.raises(StateUnreachable, match="is a file, not a folder") as caught:
        use(file_store)
    assert str(caught.value.where).endswith("/state/run/1")
    assert "\n" not in str(caught.value), "what the library tells its developers is left out"


def test_refused_and_missing_buckets_are_said(bucket: str, s3_access: S3Access) -> None:
    wrong = S3Access(
        s3_access.region, lambda: Credentials("AKIANOBODY", "x"), s3_access.endpoint, s3_access.ca_bundle
    )
    with pytest.raises(StateUnreachable, match="refused"):
        open_state(f"s3://{bucket}/x", wrong).put("a", b"")
    with pytest.raises(StateUnreachable):
        open_state("s3://no-such-bucket-here/x", s3_access).put("a", b"")


def test_a_write_that_others_get_in_the_way_of_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def conflict(*_: object, **__: object) -> None:
        raise backends.AlreadyExistsError("409 Conflict")

    monkeypatch.setattr(backends.obstore, "put", conflict)
    store = open_state("s3://b/p", S3Access("eu-central-1", lambda: Credentials("a", "b")))
    with pytest.raises(StateUnreachable, match="409") as caught:
        store.put("a/b", b"")
    assert caught.value.where == "s3://b/p/a/b"
    with pytest.raises(KeyTakenError):
        store.create("a/b", b"")


def test_the_environment_changes_nothing(
    bucket: str, s3_access: S3Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-somebody-else")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    store = open_state(f"s3://{bucket}/env", s3_access)
    store.put("a", b"1")
    found = store.get("a")
    assert found is not None
    assert found.body == b"1"
