"""A comment on a pull request: its size is bounded, and nothing that comes from outside leaves its block of code."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from regionshift.cli.failure import error_lines
from regionshift.errors import InputError
from regionshift.report.comment import MOST_CHARACTERS, as_comment
from regionshift.report.plan_view import PlanEntry, PlanSection, findings_section, plan_sections
from regionshift.report.printer import Text
from regionshift.report.values import Change, Finding, Growth, Loss, MonthlyCost, Plan, ValueChange

HOSTILE = (
    "``` \n</details>\n@octocat #1 <img src=x onerror=alert(1)> [x](javascript:1)",
    "~~~\n```\n````\n# heading\n| a | b |\n<!-- -->",
    "\x1b]8;;http://x\x1b\\ \u202e\u2028\r\n```\r@all",
    "`" * 3000,
    "@" + "x" * 70_000,
)
CHANGE = Change(
    "update", "aws:s3/bucket:Bucket", "deploy", "eu-west-1", "urn:x", values=(ValueChange("tags", 1, 2),)
)
PLAN = Plan("dev", ("us-east-1", "eu-west-1"), (CHANGE,), ())


OURS = re.compile(
    r"|<!-- [^\n>]+ -->|### [^\n`@<]+|#### (What [a-z ]+|Findings)|<details><summary>\d+ resources</summary>|</details>"
)


def blocks(text: str) -> list[list[str]]:
    """The lines in each block of code; all else are our own words. By CommonMark's rule for the end of a fence."""
    found: list[list[str]] = []
    end = None
    for line in text.split("\n"):
        if end is not None:
            if end.fullmatch(line):
                end = None
            else:
                found[-1].append(line)
        elif opens := re.fullmatch(r"(`{3,})text", line):
            found.append([])
            end = re.compile(rf" {{0,3}}`{{{len(opens[1])},}}\s*")
        else:
            assert OURS.fullmatch(line), line
    assert end is None
    return found


def error(message: str, where: str | None = None, remedy: str = "") -> PlanSection:
    return PlanSection(
        "",
        tuple(
            PlanEntry((Text(line),)) for line in error_lines(InputError(message, where=where, remedy=remedy))
        ),
    )


def test_it_shows_what_the_terminal_shows() -> None:
    summary, changes = blocks(as_comment("preview regionshift.yaml", plan_sections(PLAN)))
    assert "1 to change, 0 unchanged" in summary
    assert changes == ["  update   deploy  s3/bucket", "             tags: 1 → 2"]


def test_its_sections_are_those_of_the_terminal_in_the_same_order() -> None:
    plan = replace(
        PLAN,
        findings=(Finding("x", "error", "wrong", None, "mend it"),),
        growth=(Growth("1", "role r", ("eu-west-1",), ("may a:B",), True),),
        losses=(Loss("b", "aws:s3/bucket:Bucket", "eu-west-1", "objects"),),
        cost=MonthlyCost(1, 2, "by list"),
    )
    titles = [section.title for section in plan_sections(plan)]
    text = as_comment("preview regionshift.yaml", plan_sections(plan))
    assert re.findall("#### (.*)", text) == titles[1:]
    assert len(blocks(text)) == len(titles) == 6


@given(st.lists(st.one_of(st.text(), st.sampled_from(HOSTILE)), min_size=5, max_size=5))
def test_nothing_breaks_out_of_it(texts: list[str]) -> None:
    name, path, before, message, what = texts
    change = replace(CHANGE, name=name, values=(ValueChange(path, before, None),), urn=name)
    finding = Finding("x", "error", message, "eu-west-1", path)
    growth = Growth("1", name, ("eu-west-1",), (before, message), True)
    loss = Loss(name, path, "eu-west-1", message)
    plan = replace(PLAN, changes=(change,), findings=(finding,), growth=(growth,), losses=(loss,))
    for sections in (
        plan_sections(plan, whole=True),
        [error(message, path, name), findings_section([finding])],
    ):
        text = as_comment(what, sections)
        assert len(text) <= MOST_CHARACTERS
        assert len(blocks(text)) == len(sections)
        assert text.isprintable() or set(filter(lambda c: not c.isprintable(), text)) == {"\n"}


def test_a_long_plan_is_cut_at_the_end_of_a_line_and_says_how_much_is_missing() -> None:
    changes = tuple(
        replace(CHANGE, name=f"thing-{n}-{'x' * 90}", values=(ValueChange("memory", n, n + 1),))
        for n in range(2_000)
    )
    findings = tuple(Finding("x", "error", f"wrong {n} {'y' * 90}", None, "mend it") for n in range(2_000))
    text = as_comment("preview x", plan_sections(replace(PLAN, changes=changes, findings=findings)))
    assert MOST_CHARACTERS - 200 < len(text) <= MOST_CHARACTERS
    _, changed, found = blocks(text)
    for lines, of_one in ((changed, 2), (found, 2)):
        missing = int(re.fullmatch(r"… and (\d+) more: .*", lines[-1])[1])  # type: ignore[index]
        assert (len(lines) - 1) // of_one + missing == 2_000
        assert missing < 1_900
