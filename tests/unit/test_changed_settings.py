"""The settings file that a change of primary writes: whole or not at all, and never over what somebody else wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regionshift.errors import WorkFailed
from regionshift.operations.moving.promoting import restore_settings, write_settings, write_text
from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.settings.editing import swap_primary

BEFORE = "# ours\nregions:\r\n  primary: us-east-1\n  secondaries: [eu-west-1]  # kept\n"
AFTER = "# ours\nregions:\r\n  primary: eu-west-1\n  secondaries: [us-east-1]  # kept\n"
PLAN = PromotionPlan(
    "us-east-1", "eu-west-1", (), {}, None, "2", swap_primary(BEFORE, "us-east-1", "eu-west-1")
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "regionshift.yaml"
    path.write_bytes(BEFORE.encode())
    path.chmod(0o640)
    return path


def content(path: Path) -> str:
    return path.read_bytes().decode()


def test_it_is_turned_and_brought_back_to_the_byte_however_often(file: Path) -> None:
    for _ in range(2):
        assert write_settings(file, PLAN) == {"file": file.name}
        assert content(file) == AFTER
    for _ in range(2):
        assert restore_settings(file, PLAN) == {"file": file.name}
        assert content(file) == BEFORE
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(file.parent.iterdir()) == [file]


def test_what_somebody_changed_before_it_was_turned_is_not_written_over(file: Path) -> None:
    theirs = BEFORE.replace("us-east-1", "us-west-2")
    file.write_bytes(theirs.encode())
    with pytest.raises(WorkFailed, match="could not be changed") as wrong:
        write_settings(file, PLAN)
    assert wrong.value.where == str(file)
    assert content(file) == theirs


def test_a_way_back_leaves_an_edit_alone_that_has_the_old_primary_and_names_the_one_that_has_not(
    file: Path,
) -> None:
    theirs = BEFORE + "protect: true\n"
    file.write_bytes(theirs.encode())
    assert restore_settings(file, PLAN) == {"file": file.name, "left": "as somebody changed it meanwhile"}
    assert content(file) == theirs
    elsewhere = ("primary: us-west-2\n  secondaries: [eu-west-1]", "primary: us-east-1\n  secondaries: []")
    for theirs in (AFTER + "protect: true\n", *(f"regions:\n  {regions}\n" for regions in elsewhere), "a: ["):
        file.write_bytes(theirs.encode())
        with pytest.raises(WorkFailed, match="could not be restored") as wrong:
            restore_settings(file, PLAN)
        assert wrong.value.where == str(file)
        assert "write us-east-1 as the primary and eu-west-1 as a secondary" in str(wrong.value.remedy)
        assert content(file) == theirs


def test_a_link_stays_a_link(file: Path) -> None:
    link = file.parent / "link.yaml"
    link.symlink_to(file)
    write_settings(link, PLAN)
    assert link.is_symlink()
    assert content(file) == AFTER


@pytest.mark.parametrize("fails", ["fsync", "chmod", "replace"])
def test_what_cannot_be_written_whole_leaves_the_file_and_nothing_beside_it(
    fails: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os if fails == "fsync" else Path, fails, full)
    with pytest.raises(KeyboardInterrupt):
        write_text(file, AFTER)
    monkeypatch.undo()
    assert content(file) == BEFORE
    assert list(file.parent.iterdir()) == [file]
