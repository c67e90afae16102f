"""A policy document is read by AWS's grammar, and what is none is said to be none."""

from __future__ import annotations

import json
import re

import pytest

from regionshift.iam.documents import Condition, Part, Unreadable, parse


def test_text_and_lists_of_one_are_alike() -> None:
    one = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Sid": "A"}
    other = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"], "Sid": "A"}
    assert parse({"Statement": one}) == parse(json.dumps({"Version": "2012-10-17", "Statement": [other]}))


@pytest.mark.parametrize(
    ("principal", "read"),
    [
        ("*", ("*",)),
        ({"AWS": "*"}, ("*",)),
        ({"AWS": "arn:aws:iam::111122223333:root"}, ("AWS:111122223333",)),
        ({"AWS": "111122223333"}, ("AWS:111122223333",)),
        ({"AWS": ["arn:aws:iam::111122223333:role/root"]}, ("AWS:arn:aws:iam::111122223333:role/root",)),
        ({"Service": "s3.amazonaws.com", "Federated": "x"}, ("Service:s3.amazonaws.com", "Federated:x")),
    ],
)
def test_a_principal_has_one_form(principal: object, read: tuple[str, ...]) -> None:
    (statement,) = parse({"Statement": {"Effect": "Deny", "NotPrincipal": principal, "Action": "*"}})
    assert statement.principals == Part(read, is_all_but=True)
    assert statement.resources is None


def test_conditions_keep_what_is_written_and_values_are_text() -> None:
    condition = {"Bool": {"aws:SecureTransport": False}, "NumericLessThan": {"s3:max-keys": [10, "20"]}}
    (statement,) = parse({"Statement": {"Effect": "Allow", "NotAction": "a:b", "Condition": condition}})
    assert statement.conditions == (
        Condition("Bool", "aws:SecureTransport", ("false",)),
        Condition("NumericLessThan", "s3:max-keys", ("10", "20")),
    )
    assert statement.label == "statement 1"


def test_what_is_a_variable_depends_on_the_version() -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "home/${aws:username}"}
    for version, read in (("2012-10-17", "home/${aws:username}"), ("2008-10-17", "home/${$}{aws:username}")):
        (found,) = parse({"Version": version, "Statement": statement})
        assert found.resources == Part((read,))


ALLOW = '{"Effect": "Allow", "Action": "a"'


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ('"x"', "statement 1 is no object"),
        ('{"Effect": "allow", "Action": "*"}', "statement 1 neither allows nor denies"),
        ('{"Sid": "A", "Effect": "Allow"}', "A names no action"),
        (ALLOW + ', "NotAction": "b"}', "statement 1 has both Action and NotAction"),
        (ALLOW + ', "Actions": "b"}', "statement 1 has Actions"),
        (ALLOW + ', "Resource": {}}', "statement 1 has what is neither text nor number nor true or false"),
        (ALLOW + ', "Principal": "AWS"}', "the principal of statement 1 is neither * nor an object"),
        (ALLOW + ', "Condition": []}', "the condition of statement 1 is no object"),
        (ALLOW + ', "Condition": {"Bool": 1}}', "the condition Bool of statement 1 is no object"),
        (ALLOW + ', "Action": "*"}', "a name is in it twice"),
    ],
)
def test_what_is_no_statement_is_refused(statement: str, why: str) -> None:
    with pytest.raises(Unreadable, match=re.escape(why)):
        parse(f'{{"Statement": [{statement}]}}')


@pytest.mark.parametrize(("text", "why"), [("", "it is no JSON"), ("[]", "it is no policy document")])
def test_what_is_no_document_is_refused(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        parse(text)
