"""No two items of a plan have one target, and none has a target that cannot be or is the program's own."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from regionshift.carriers.carrier import DataLocation, Entry, Item, ItemState, Level, Limits, SourceVersion
from regionshift.carriers.plan import make_plan
from regionshift.carriers.records import MigrationRecords, RecordStore
from regionshift.carriers.selection import narrowed, selector

SOURCE, TARGET = "us-east-1", "eu-west-1"


class NoRecords:
    bucket = "records"

    def names(self, prefix: str) -> Iterator[str]:
        del prefix
        return iter(())


@dataclass
class Carried:
    """A carrier of what is in ``sources``, by place; what the target has as the source is the same."""

    sources: dict[str, list[str]]
    same: frozenset[str] = frozenset()

    def inventory(self, entry: Entry, carried: object, *, deep: bool, left_behind: bool) -> Iterator[Item]:
        del carried, deep, left_behind
        selects, begins = selector(entry), len(entry.source.prefix)
        for name in sorted(self.sources[entry.source.bucket]):
            key = name[begins:]
            if name.startswith(entry.source.prefix) and selects(key):
                kind = ItemState.SAME if name in self.same else ItemState.NEW
                yield Item(key, kind, () if kind is ItemState.SAME else (SourceVersion("1", size=1),))


@dataclass
class Kept:
    """What a plan would write, and what it leaves out."""

    written: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)

    def batch(self, number: int, entry: Entry, after: str, items: Any) -> None:
        del number, after
        self.written += [f"{entry.kind} {entry.target}{item.key}" for item in items]

    def conflict(self, entry: Entry, item: Item) -> None:
        self.left.append((f"{entry.target}{item.key}", item.reason))


def planned(entries: list[Entry], sources: dict[str, list[str]], same: frozenset[str] = frozenset()) -> Kept:
    kept, carrier = Kept(), cast(Any, Carried(sources, same))
    made = make_plan(
        MigrationRecords(cast(RecordStore, NoRecords()), "m"),
        {"s3": carrier, "ssm": carrier, "secrets": carrier},
        entries,
        [Limits("")] * len(entries),
        level=Level.PINNED,
        sink=kept,
    )
    assert made.counts["conflict"] == len(kept.left)
    assert made.to_copy == len(kept.written)
    return kept


def entry(source: str = "a", prefix: str = "", target: str = "", bucket: str = "to", **more: Any) -> Entry:
    return Entry("s3", DataLocation(SOURCE, source, prefix), DataLocation(TARGET, bucket, target), **more)


KEYS = st.lists(st.text("ab/", max_size=4), unique=True, max_size=8)
PREFIXES = st.sampled_from(["", "a", "a/", "a/b", "b/"])
PATTERNS = st.lists(st.sampled_from(["*", "a*", "*b", "?/*", "[ab]"]), max_size=1).map(tuple)
ENTRIES = st.builds(
    entry,
    source=st.sampled_from(["a", "b"]),
    prefix=PREFIXES,
    target=PREFIXES,
    bucket=st.sampled_from(["to", "other"]),
    include=PATTERNS,
    exclude=PATTERNS,
)


@given(
    entries=st.lists(ENTRIES, min_size=1, max_size=4),
    sources=st.fixed_dictionaries({"a": KEYS, "b": KEYS}),
    same=st.frozensets(st.text("ab/", max_size=3), max_size=3),
)
def test_no_two_items_have_one_target(
    entries: list[Entry], sources: dict[str, list[str]], same: frozenset[str]
) -> None:
    kept = planned(entries, sources, same)

    assert len(kept.written) == len(set(kept.written))
    assert not [name for name in kept.written if name.endswith(("to/", "other/")) and name.count("/") == 1]
    # Nothing is left out but for another that is written there, or is the same there already.
    for name, reason in kept.left:
        if "another entry" in reason:
            others = [each for each in entries if name.startswith(str(each.target))]
            assert len(others) > 1


def test_doubles_are_named_whatever_the_other_is() -> None:
    whole, part = entry(), entry("b", target="in/")
    sources = {"a": ["in/x", "in/y", "z"], "b": ["x", "y", "w"]}

    kept = planned([whole, part], sources, frozenset({"in/y"}))

    assert kept.written == ["s3 to/in/x", "s3 to/z", "s3 to/in/w"]
    assert [name for name, _ in kept.left] == ["to/in/x", "to/in/y"]
    assert all("another entry" in reason for _, reason in kept.left)


def test_other_kinds_and_other_buckets_do_not_meet() -> None:
    kept = planned([entry(), entry("b", bucket="other")], {"a": ["x"], "b": ["x"]})
    assert kept.left == []


def test_a_folders_own_marker_with_no_prefix_at_the_target_is_left_out_by_name() -> None:
    kept = planned([entry(prefix="data/")], {"a": ["data/", "data/x"]})
    assert kept.written == ["s3 to/x"]
    ((item, reason),) = kept.left
    assert item == "to/"
    assert "a/data/ has nothing left of its name" in reason


def test_names_that_are_too_long_at_the_target_are_left_out() -> None:
    kept = planned([entry(target="t" * 1020)], {"a": ["\u00e9\u00e9", "\u00e9\u00e9\u00e9"]})
    assert len(kept.written) == 1
    assert "1024 bytes" in kept.left[0][1]
    parameters = replace(entry(target="/t/"), kind="ssm")
    assert "15 levels" in planned([parameters], {"a": ["/".join("abcdefghijklmno")]}).left[0][1]
    secrets = replace(entry(target="t"), kind="secrets")
    assert "512 characters" in planned([secrets], {"a": ["x" * 512]}).left[0][1]


# Every sign that patterns know, among others.
keys_ = st.text("ab*?[]!-/\n.", min_size=1, max_size=8)


@given(st.lists(keys_, min_size=1, unique=True), keys_, keys_)
def test_keys_that_are_named_one_by_one_are_selected_and_no_other(
    names: list[str], other: str, pattern: str
) -> None:
    named = entry(within="b/", include=tuple(glob.escape("b/" + name) for name in names))
    assert [key for key in {*names, other} if selector(named)(key)] == [
        key for key in {*names, other} if key in names
    ]
    part = narrowed(named, names[:1])
    assert [key for key in names if selector(part)(key)] == names[:1]
    both = replace(named, include=(*named.include, pattern))
    assert selector(both)(other) == (other in names or fnmatch.fnmatchcase("b/" + other, pattern))
    open_to_more = replace(named, include=(*named.include, "*"))
    assert narrowed(open_to_more, names[:1]) == open_to_more
