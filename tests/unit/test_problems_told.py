"""Equal failures are one sentence, with some of the items that it is about."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from regionshift.report.migrations import summary_table, undo_table

GONE = "S3 answered NoSuchVersion: The specified version does not exist."


def told(problems: list[dict[str, Any]]) -> list[str]:
    screen = Console(width=300, record=True)
    screen.print(summary_table({"migration_id": "m", "status": "incomplete", "problems": problems}))
    return [line for line in screen.export_text().splitlines() if line.startswith(("not proven", "…"))]


def problem(number: int, reason: str = GONE) -> dict[str, Any]:
    return {"key": f"k{number:02}", "item": f"to/out/k{number:02}", "bucket": "to", "reason": reason}


def test_equal_failures_are_one_sentence() -> None:
    assert told([problem(number) for number in range(47)]) == [
        f"not proven: 47 items: {GONE}: to/out/k00, to/out/k01, to/out/k02 … and 44 more"
    ]


def test_different_failures_are_told_apart_and_by_bucket_and_key() -> None:
    lines = told([problem(1), problem(2, "tags differ"), problem(3)])
    assert lines == [
        f"not proven: 2 items: {GONE}: to/out/k01, to/out/k03",
        "not proven: to/out/k02: tags differ",
    ]


def test_more_reasons_than_fit_are_counted() -> None:
    lines = told([problem(number, f"reason {number % 30}") for number in range(60)])
    assert len(lines) == 21
    assert lines[-1] == "… and 20 more"


def test_records_of_earlier_releases_have_the_key_alone() -> None:
    screen = Console(width=300, record=True)
    record = {"counts": {"conflict": 1}, "conflicts": [{"key": "a", "reason": "changed"}]}
    screen.print(undo_table(record, 1.0))
    assert "left alone: a: changed" in screen.export_text()
