"""A comment on a pull request: its size is bounded, and nothing that comes from outside leaves its block of code."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from regionshift.cli.failure import error_lines
from regionshift.errors import InputError
from regionshift.report.comment import MOST_CHARACTERS, as_comment
from regionshift.report.printer import Text
from regionshift.report.terminal import plan_parts
from regionshift.report.values import Change, Finding, Plan, ValueChange

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


def body(text: str) -> str:
    """What stands in the one block of code; all else are our own words. By CommonMark's rule for the end of a fence."""
    found = re.fullmatch(r"(<!-- [^\n>]+ -->\n### [^\n`@<]+\n\n)(`{3,})text\n(.*)", text, re.DOTALL)
    assert found
    head, fence, rest = found.groups()
    assert head.count("\n") == 3
    lines = rest.split("\n")
    end = next(n for n, line in enumerate(lines) if re.fullmatch(rf" {{0,3}}`{{{len(fence)},}}\s*", line))
    after = "\n".join(lines[end + 1 :])
    assert re.fullmatch(r"(\n\d+ more lines are in the artifact of this run.\n)?", after), after
    return "\n".join(lines[:end])


def test_it_shows_what_the_terminal_shows() -> None:
    shown = body(as_comment("preview regionshift.yaml", plan_parts(PLAN)))
    assert "1 to change, 0 unchanged" in shown
    assert "update   deploy" in shown
    assert "tags: 1 → 2" in shown


@given(st.lists(st.one_of(st.text(), st.sampled_from(HOSTILE)), min_size=5, max_size=5))
def test_nothing_breaks_out_of_it(texts: list[str]) -> None:
    name, path, before, message, what = texts
    change = replace(CHANGE, name=name, values=(ValueChange(path, before, None),), urn=name)
    finding = Finding("x", "error", message, "eu-west-1", path)
    for parts in (
        plan_parts(replace(PLAN, changes=(change,), findings=(finding,)), whole=True),
        [Text(line) for line in error_lines(InputError(message, where=path, remedy=name))],
    ):
        text = as_comment(what, parts)
        assert len(text) <= MOST_CHARACTERS
        assert body(text)
        assert text.isprintable() or set(filter(lambda c: not c.isprintable(), text)) == {"\n"}


def test_a_long_plan_is_cut_at_the_end_of_a_line_and_says_how_much_is_missing() -> None:
    changes = tuple(replace(CHANGE, name=f"thing-{n}-{'x' * 90}") for n in range(2_000))
    text = as_comment("preview regionshift.yaml", plan_parts(replace(PLAN, changes=changes), whole=True))
    assert MOST_CHARACTERS - 200 < len(text) <= MOST_CHARACTERS
    shown, missing = body(text).split("\n"), int(re.search(r"(\d+) more lines", text)[1])  # type: ignore[index]
    whole = len(as_comment("x", plan_parts(PLAN)).split("\n"))
    assert whole < len(shown)
    assert len(shown) + missing == 2 * 2_000 + 5
