"""Values that name the source region, and texts of one's own: changed as asked, shown, proven, taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from carrier_world import SOURCE, TARGET, SecretsLab, SsmLab, World

from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.lines import entry_line, read_entry
from regionshift.carriers.named_values import Value, rewrites_of, rewritten
from regionshift.errors import InputError

ENTRY = Entry("ssm", DataLocation(SOURCE, prefix="/a/"), DataLocation(TARGET, prefix="/a/"))


def test_nothing_is_changed_unless_asked_for() -> None:
    value = Value(f"arn:aws:sns:{SOURCE}:1:t db.{SOURCE}.old")
    assert rewritten(ENTRY, value) == (value, {})


def test_own_texts_are_replaced_once_and_the_longest_first() -> None:
    entry = replace(ENTRY, rewrite=("region",), replace={"db": "base", "db.old": "db.new", "base": "never"})
    given = Value(f"db.old db {SOURCE} base [.*]")
    assert rewritten(entry, given)[0].text == f"db.new base {TARGET} never [.*]"
    assert rewrites_of(entry, lambda: given) == "region ×1, replace ×3"


def test_a_text_stands_for_itself_and_what_it_gives_too() -> None:
    entry = replace(ENTRY, replace={".*": r"\1"})
    assert rewritten(entry, Value("a.*b.c"))[0].text == r"a\1b.c"
    binary = Value(binary=b".*")
    assert rewritten(entry, binary) == (binary, {})


def test_an_empty_text_is_refused(world: World) -> None:
    entry = replace(SsmLab(world).entry, replace={"": "x"})
    with pytest.raises(InputError, match="empty"):
        world.migrations.of("m").plan([entry], Level.FULL)


def test_a_record_keeps_the_texts_and_reads_records_without() -> None:
    entry = replace(ENTRY, replace={"a": "b"})
    line = entry_line(entry)
    assert read_entry(line) == entry
    del line["replace"]
    assert read_entry(line) == ENTRY


@pytest.mark.parametrize("kind", [SsmLab, SecretsLab])
def test_it_is_shown_carried_proven_and_taken_back(world: World, kind: type[SsmLab | SecretsLab]) -> None:
    lab = kind(world)
    lab.write("source", "a", "host=db.old")
    lab.write("source", "c", "untouched")
    lab.write("target", "a", "earlier")
    before = lab.look("target")
    entry = replace(lab.entry, replace={"db.old": "db.new"})
    rewrites = [item.rewrites for item in world.carriers[entry.kind].inventory(entry, iter(()))]
    assert rewrites == ["replace ×1", ""]
    (part,) = world.migrations.of("p").plan([entry], Level.FULL).entries
    assert (part.rewritten, part.rewrites) == (1, [(f"{entry.target.prefix}a", "replace ×1")])

    done = world.migrations.of("m").migrate([entry])

    assert done["status"] == "completed", done["problems"]
    assert lab.look("target")["a"][0] == "host=db.new"
    # Another rule than last time is no other version: a deep plan finds it.
    other = replace(entry, replace={"db.old": "db.newer"})
    assert world.migrations.of("p").plan([other], Level.FULL).counts["same"] == 2
    assert world.migrations.of("p").plan([other], Level.FULL, deep=True).counts["changed"] == 1
    world.migrations.of("m").rollback()
    assert lab.look("target") == before
