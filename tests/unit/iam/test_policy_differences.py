"""How a policy document changed, statement by statement, in the words of IAM."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from regionshift.iam.differences import differences
from regionshift.iam.documents import parse

READ = {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:a"}
BARE = {name: value for name, value in READ.items() if name != "Sid"}
SEND = {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": "arn:q"}


def told(old: list[Any] | None, new: list[Any] | None) -> list[tuple[str, str, str | None, str | None]]:
    ends = (
        None if each is None else parse({"Version": "2012-10-17", "Statement": each}) for each in (old, new)
    )
    return [(each.statement, each.part, each.before, each.after) for each in differences(*ends)]


def test_a_statement_that_comes_or_goes_is_one_sentence() -> None:
    bounded = {**READ, "Condition": {"StringEquals": {"aws:SourceAccount": ["1", "2"]}}}
    trust = {"Effect": "Deny", "NotPrincipal": {"AWS": "arn:r"}, "Action": "sts:AssumeRole"}
    assert told([], [bounded]) == [
        ("Read", "", None, "Allow s3:GetObject on arn:a if StringEquals aws:SourceAccount 1, 2")
    ]
    assert told([trust], None) == [("0", "", "Deny sts:AssumeRole to all but AWS:arn:r", None)]
    assert told(None, [READ])[0][3] == "Allow s3:GetObject on arn:a"


def test_what_a_statement_gains_and_loses_is_told_by_value() -> None:
    more = {**READ, "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:b"}
    assert told([READ], [more]) == [
        ("Read", "Action[]", None, "s3:PutObject"),
        ("Read", "Resource[]", "arn:a", None),
        ("Read", "Resource[]", None, "arn:b"),
    ]
    inverted = {"Sid": "Read", "Effect": "Deny", "Action": "s3:GetObject", "NotResource": "arn:a"}
    assert told([READ], [inverted]) == [
        ("Read", "Effect", "Allow", "Deny"),
        ("Read", "Resource", "arn:a", "all but arn:a"),
    ]
    was, now = ({**READ, "Condition": {"StringLike": {"k": each}}} for each in (["a"], ["a", "b"]))
    assert told([was], [now]) == [("Read", "Condition.StringLike.k[]", None, "b")]
    assert told([now], [READ]) == [("Read", "Condition.StringLike.k", "a, b", None)]


def test_without_a_sid_statements_are_found_again_by_what_they_share() -> None:
    more = {**BARE, "Action": ["s3:GetObject", "s3:PutObject"]}
    assert told([SEND, BARE], [more, SEND]) == [("0", "Action[]", None, "s3:PutObject")]
    # What shares nothing is another statement.
    assert told([SEND], [BARE]) == [
        ("0", "", "Allow sqs:SendMessage on arn:q", None),
        ("0", "", None, "Allow s3:GetObject on arn:a"),
    ]
    # A Sid that is there twice names none of the two.
    assert told([READ, READ], [READ, READ]) == []


_NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True)
_STATEMENT = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": _NAMES, "Resource": _NAMES},
    optional={"Condition": st.just({"Bool": {"k": "true"}}), "Sid": st.sampled_from(["A", "1", "C"])},
)


def _meant(statements: list[Any]) -> list[str]:
    return sorted(
        repr(
            {
                name: sorted(part) if isinstance(part, list) else part
                for name, part in sorted(each.items())
                if name != "Sid"
            }
        )
        for each in statements
    )


@given(st.lists(_STATEMENT, max_size=3), st.lists(_STATEMENT, max_size=3))
def test_nothing_is_told_just_where_nothing_differs(old: list[Any], new: list[Any]) -> None:
    assert told(old, old) == []
    assert told(old, list(reversed(old))) == []
    if _meant(old) != _meant(new):
        assert told(old, new)
        assert told(new, old)
