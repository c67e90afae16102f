"""Growth is decided by meaning: against brute force over a small universe it is never silent, and seldom wrong."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from regionshift.iam.documents import Policy, parse
from regionshift.iam.growth import Opened, opened

# Every string that tells patterns of at most two characters over these apart.
LETTERS = "abz"
STRINGS = ["".join(each) for n in range(4) for each in itertools.product(LETTERS, repeat=n)]
ACTIONS = ["y:a", *(f"x:{each}" for each in STRINGS)]
RESOURCES = STRINGS
PRINCIPALS = ["1", "2", "3"]
KEYS = [None, *STRINGS, *("".join(each) for n in (1, 2) for each in itertools.product("ABab?*", repeat=n))]
NUMBERS = [None, 0, 1, 2, 3, 4]

Statement = dict[str, Any]


def _fits(pattern: str, value: str, *, folded: bool = False) -> bool:
    written = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(written, value, re.DOTALL | (re.IGNORECASE if folded else 0)) is not None


def _part(statement: Statement, name: str, fits: Callable[[str], bool]) -> bool:
    if f"Not{name}" in statement:
        return not any(map(fits, statement[f"Not{name}"]))
    return any(map(fits, statement.get(name, ["*"])))


COMPARE: dict[str, Callable[[Any, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: _fits(wanted, value),
    "NumericEquals": lambda value, wanted: value == int(wanted),
    "NumericLessThan": lambda value, wanted: value < int(wanted),
    "NumericGreaterThanEquals": lambda value, wanted: value >= int(wanted),
}


def _holds(operator: str, value: Any, wanted: Sequence[str]) -> bool:
    if operator == "Null":
        return ("true" if value is None else "false") in wanted
    name = operator.removesuffix("IfExists")
    plain = name.replace("Not", "", 1)
    if value is None:
        return name != operator or plain != name
    return any(COMPARE[plain](value, each) for each in wanted) != (plain != name)


def _requests(statement: Statement, universe: Sequence[Sequence[Any]]) -> int:
    """The requests that a statement is about, as bits: every combination of the dimensions of ``universe``."""
    conditions = [
        (operator, name.lower(), values)
        for operator, keys in statement.get("Condition", {}).items()
        for name, values in keys.items()
    ]
    fits: list[Callable[[Any], bool]] = [
        lambda value: _part(statement, "Action", lambda one: one == "*" or _fits(one, value, folded=True)),
        lambda value: _part(statement, "Resource", lambda one: _fits(one, value)),
        lambda value: _part(statement, "Principal", lambda one: one in ("*", value)),
        lambda value: all(_holds(how, value, wanted) for how, name, wanted in conditions if name == "k"),
        lambda value: all(_holds(how, value, wanted) for how, name, wanted in conditions if name == "n"),
    ]
    found, width = 1, 1
    for values, fit in zip(universe, fits, strict=True):
        found = sum(found << place * width for place, value in enumerate(values) if fit(value))
        width *= len(values)
    return found


def _let_in(statements: Sequence[Statement], universe: Sequence[Sequence[Any]]) -> tuple[int, int]:
    """What is allowed and not denied, and what is denied."""
    about = {"Allow": 0, "Deny": 0}
    for statement in statements:
        about[statement["Effect"]] |= _requests(statement, universe)
    return about["Allow"] & ~about["Deny"], about["Deny"]


def truly_grows(old: Sequence[Statement], new: Sequence[Statement]) -> bool:
    """Whether something is let in that was not, whatever is allowed elsewhere: each request is tried."""
    universe = [ACTIONS, RESOURCES, PRINCIPALS, KEYS, NUMBERS]
    (allowed, denied), (allowed_now, denied_now) = _let_in(old, universe), _let_in(new, universe)
    return bool(allowed_now & ~allowed or denied & ~denied_now)


def document(statements: Sequence[Statement]) -> Policy:
    """As AWS has it: principals by their kind."""
    written = [
        {name: _as_written(name, value) for name, value in statement.items()} for statement in statements
    ]
    return parse(json.dumps({"Version": "2012-10-17", "Statement": written}))


def _as_written(name: str, value: Any) -> Any:
    if name in ("Principal", "NotPrincipal"):
        return "*" if value == ["*"] else {"AWS": value}
    return value


PATTERNS = st.text("ab*?", min_size=1, max_size=2)
ACTION = st.one_of(
    st.just("*"), st.builds(lambda one, name: one + name, st.sampled_from(["x:", "X:"]), PATTERNS)
)
PRINCIPAL = st.sampled_from(["1", "2", "*"])
TEXT = (
    "StringEquals",
    "StringNotEquals",
    "StringLike",
    "StringNotLike",
    "StringEqualsIfExists",
    "StringNotEqualsIgnoreCase",
)
NUMERIC = ("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals")


def _lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(values, min_size=1, max_size=2, unique=True)


def _named(name: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Statement]:
    negated = st.integers(0, 4).map(lambda number: "Not" if number == 0 else "")
    return st.builds(lambda sign, found: {sign + name: found}, negated, _lists(values))


def _condition(
    operators: Sequence[str], name: str, values: st.SearchStrategy[str]
) -> st.SearchStrategy[Statement]:
    return st.builds(lambda how, found: {how: {name: found}}, st.sampled_from(operators), _lists(values))


BY_TEXT, BY_NUMBER = _condition(TEXT, "k", PATTERNS), _condition(NUMERIC, "n", st.sampled_from("123"))
CONDITIONS = st.one_of(
    st.just({}),
    BY_TEXT,
    _condition(("StringLike", "StringEqualsIgnoreCase", "StringLikeIfExists"), "K", PATTERNS),
    BY_NUMBER,
    st.builds(lambda value: {"Null": {"k": [value]}}, st.sampled_from(["true", "false"])),
    st.builds(lambda one, other: {**one, **other}, BY_TEXT, BY_NUMBER),
)


@st.composite
def statements(draw: st.DrawFn) -> list[Statement]:
    with_principals = draw(st.booleans())
    found = []
    for _ in range(draw(st.integers(0, 3))):
        statement = {
            "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
            **draw(_named("Action", ACTION)),
            **draw(_named("Resource", PATTERNS)),
            "Condition": draw(CONDITIONS),
        }
        if with_principals:
            statement |= draw(_named("Principal", PRINCIPAL))
        found.append(statement)
    return found


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[Statement], list[Statement]]:
    """Two documents that are near each other, as a change has them, or any two."""
    old = draw(statements())
    if draw(st.integers(0, 3)) == 0:
        return old, draw(statements())
    new = [dict(each) for each in old]
    for statement in new:
        match draw(st.integers(0, 5)):
            case 0:
                statement |= {"Condition": draw(CONDITIONS)}
            case 1 if "Resource" in statement:
                statement["Resource"] = draw(st.lists(PATTERNS, min_size=1, max_size=2, unique=True))
            case 2 if "Action" in statement:
                statement["Action"] = draw(st.lists(ACTION, min_size=1, max_size=2, unique=True))
            case 3 if "Action" in statement:
                statement["Action"] = [each.swapcase() for each in reversed(statement["Action"])]
    if draw(st.booleans()) and new:
        new.pop(draw(st.integers(0, len(new) - 1)))
    return draw(st.permutations(old)), new


def grows(old: Sequence[Statement], new: Sequence[Statement]) -> list[Opened]:
    return opened([document(old)], [document(new)])


def _compare(change: tuple[list[Statement], list[Statement]]) -> None:
    """Never silent, and here never wrong either: every operator that is used is known, and nothing is a variable."""
    old, new = change
    found, truth = grows(old, new), truly_grows(old, new)
    event(f"grows: {truth}, told: {bool(found)}")
    assert bool(found) == truth, found


@settings(max_examples=40, deadline=None)
@given(changes())
def test_against_every_request_of_a_small_universe(change: tuple[list[Statement], list[Statement]]) -> None:
    _compare(change)


@pytest.mark.thorough
@settings(max_examples=1500, deadline=None)
@given(changes())
def test_against_every_request_of_a_small_universe_at_length(
    change: tuple[list[Statement], list[Statement]],
) -> None:
    _compare(change)


def allow(action: Any, resource: Any = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> Statement:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def when(operator: str, key: str, *values: str) -> Statement:
    return {"Condition": {operator: {key: list(values)}}}


BUCKET = "arn:aws:s3:::files"
SAME: list[tuple[list[Statement], list[Statement]]] = [
    # A list for a wildcard, any order, any case, one statement for two and two for one.
    (
        [allow("s3:Get*", f"{BUCKET}/*")],
        [allow(["S3:getobjecttagging", "s3:GetObject"], [f"{BUCKET}/b", f"{BUCKET}/a"])],
    ),
    ([allow("s3:GetObject", "a"), allow("s3:GetObject", "b")], [allow("s3:GetObject", ["b", "a"])]),
    ([allow(["a:b", "a:c"], ["x", "y"])], [allow("a:b", "x"), allow("a:c", "y")]),
    # What is refused anyway is not let in.
    ([allow("s3:GetObject"), deny("iam:*")], [allow("s3:GetObject"), allow("iam:PassRole"), deny("iam:*")]),
    ([deny("s3:*", f"{BUCKET}/a*")], [{"Effect": "Deny", "NotAction": "iam:*", "Resource": BUCKET + "/*"}]),
    # A condition that says the same or more.
    (
        [allow("a:b", **when("StringLike", "aws:PrincipalOrgID", "o-*"))],
        [allow("a:b", **when("StringEquals", "AWS:principalorgid", "o-1"))],
    ),
    ([allow("a:b", **when("StringNotEquals", "k", "a"))], [allow("a:b", **when("StringEquals", "k", "b"))]),
    (
        [allow("a:b", **when("IpAddress", "aws:SourceIp", "10.0.0.0/8"))],
        [allow("a:b", **when("IpAddress", "aws:SourceIp", "10.1.0.0/16", "10.2.2.2"))],
    ),
    (
        [allow("a:b", **when("DateLessThan", "aws:CurrentTime", "2030-01-01T00:00:00Z"))],
        [allow("a:b", **when("DateLessThan", "aws:CurrentTime", "2029-12-31T00:00:00+01:00"))],
    ),
    (
        [allow("a:b", **when("ForAllValues:StringLike", "aws:TagKeys", "team*"))],
        [allow("a:b", **when("ForAllValues:StringEquals", "aws:TagKeys", "team", "teams"))],
    ),
    (
        [allow("a:b", **when("ArnLike", "aws:SourceArn", "arn:aws:s3:*:*:b*"))],
        [allow("a:b", **when("ArnEquals", "aws:SourceArn", "arn:aws:s3:::bucket"))],
    ),
    # Two halves are the whole.
    (
        [allow("a:b", **when("StringEquals", "k", "x")), allow("a:b", **when("StringNotEquals", "k", "x"))],
        [allow("a:b")],
    ),
    # A variable is what it is.
    ([allow("a:b", "home/${aws:username}/*")], [allow("a:b", "home/${aws:username}/x")]),
    ([allow("a:b", "home/*")], [allow("a:b", "home/${aws:username}")]),
    # What is strange is as strange as before.
    ([allow("a:b", **when("Odd", "k", "1"))], [allow("a:b", "x", **when("Odd", "k", "1"))]),
]
MORE: list[tuple[list[Statement], list[Statement], str]] = [
    ([allow("s3:GetObject")], [allow(["s3:GetObject", "s3:PutObject"])], "action"),
    ([allow("s3:GetObject", BUCKET)], [allow("s3:GetObject", "*")], "resource"),
    ([allow("a:b", **when("Bool", "aws:SecureTransport", "true"))], [allow("a:b")], "condition"),
    (
        [allow("a:b", **when("StringEquals", "k", "x"))],
        [allow("a:b", **when("StringEqualsIfExists", "k", "x"))],
        "condition",
    ),
    (
        [allow("a:b", **when("StringEquals", "k", "x"))],
        [allow("a:b", **when("StringEquals", "k", "x", "y"))],
        "condition",
    ),
    (
        [allow("a:b", **when("IpAddress", "aws:SourceIp", "10.0.0.0/8"))],
        [allow("a:b", **when("IpAddress", "aws:SourceIp", "::/0"))],
        "condition",
    ),
    (
        [allow("a:b", **when("ForAllValues:StringEquals", "k", "x"))],
        [allow("a:b", **when("ForAnyValue:StringEquals", "k", "x"))],
        "condition",
    ),
    (
        [allow("a:b", **when("ArnLike", "k", "arn:aws:s3:::*"))],
        [allow("a:b", **when("ArnLike", "k", "*"))],
        "condition",
    ),
    ([deny("s3:*", **when("Bool", "aws:SecureTransport", "false"))], [], "denied"),
    ([deny("s3:*")], [deny("s3:Get*")], "denied"),
    (
        [deny("s3:*", **when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::1:role/a"))],
        [deny("s3:*", **when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::1:role/a*"))],
        "denied",
    ),
    (
        [allow("a:b", "x", Principal={"AWS": "1"})],
        [allow("a:b", "x", Principal={"AWS": ["1", "2"]})],
        "principal",
    ),
    (
        [allow("a:b", Principal={"AWS": "1"})],
        [allow("a:b", Principal={"AWS": "arn:aws:iam::1:role/r"})],
        "principal",
    ),
    (
        [{"Effect": "Allow", "NotAction": ["iam:*", "kms:*"], "Resource": "*"}],
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
        "action",
    ),
    ([allow("a:b", "home/${aws:username}")], [allow("a:b", "home/${aws:userid}")], "resource"),
    (
        [{"Effect": "Allow", "Action": "a:b", "NotResource": "x"}],
        [allow("a:b", "${aws:username}")],
        "resource",
    ),
    ([allow("a:b", **when("Odd", "k", "1"))], [allow("a:b", **when("Odd", "k", "2"))], "condition"),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_what_means_the_same_or_less_is_no_growth(old: list[Statement], new: list[Statement]) -> None:
    assert opened([_parsed(old)], [_parsed(new)]) == []


@pytest.mark.parametrize(("old", "new", "aspect"), MORE)
def test_what_means_more_is_growth_and_says_in_what(
    old: list[Statement], new: list[Statement], aspect: str
) -> None:
    assert {each.aspect for each in opened([_parsed(old)], [_parsed(new)])} == {aspect}
    assert opened([_parsed(new)], [_parsed(new)]) == []


def _parsed(statements: list[Statement]) -> Policy:
    return parse({"Version": "2012-10-17", "Statement": statements})


def test_documents_count_together() -> None:
    both = [_parsed([allow("a:b")]), _parsed([deny("c:d")])]
    assert opened(both, [_parsed([deny("c:d"), allow("a:b")])]) == []


def test_what_cannot_be_known_says_why() -> None:
    (strange,) = opened([_parsed([allow("a:b", **when("Odd", "k", "1"))])], [_parsed([allow("a:b")])])
    assert strange.why == "what Odd of k admits is not known"
    (variable,) = opened([_parsed([allow("a:b", "x")])], [_parsed([allow("a:b", "${aws:username}")])])
    assert variable.why == "what its variable stands for is not known"


def test_a_wildcard_is_told_by_the_actions_of_today() -> None:
    """What AWS adds later counts too: a wildcard that has no more than the list of today is still more than that."""
    (found,) = opened([_parsed([allow("sqs:SendMessage")])], [_parsed([allow("sqs:Send*")])])
    assert (found.actions, found.today) == (("sqs:Send*",), ())
    (found,) = opened([_parsed([allow("sqs:SendMessage")])], [_parsed([allow("sqs:*Message")])])
    assert found.today == ("sqs:DeleteMessage", "sqs:ReceiveMessage")


def test_who_is_let_in_by_a_star_on_no_condition_is_anybody() -> None:
    (found,) = opened([], [_parsed([allow("s3:GetObject", Principal="*")])])
    assert found.is_public
    bound = when("StringEquals", "aws:PrincipalOrgID", "o-1")
    (found,) = opened([], [_parsed([allow("s3:GetObject", Principal="*", **bound)])])
    assert not found.is_public


def test_what_would_take_too_long_counts() -> None:
    patterns = ["*".join(letters) + "*" for letters in itertools.permutations("abcdef")][:200]
    (found,) = opened([_parsed([allow("a:b", patterns)])], [_parsed([allow("a:b", "?*?*?*?*?*?*")])])
    assert found.why == "its wildcards meet others in too many ways to be compared"
