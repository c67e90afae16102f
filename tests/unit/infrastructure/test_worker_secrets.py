"""What the worker may do with secrets that `carry` names by tags alone: nothing without those tags."""

from __future__ import annotations

from regionshift.infrastructure.policies.worker import secret_statements

ANY = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:*"
NAMED = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/*"
HERE = ["eu-west-1"]
METADATA = {"secretsmanager:DescribeSecret"}


def test_every_right_on_any_name_is_bound_to_the_tags_also_beside_a_named_entry() -> None:
    statements = secret_statements([NAMED], [NAMED], [ANY], [ANY], [{"App": "shop"}, {"Team": "pay"}], HERE)
    loose = [each for each in statements if ANY in each["Resource"] and not set(each["Action"]) <= METADATA]
    assert loose, "the tagged entries give rights"
    for statement in loose:
        conditions = {**statement["Condition"]["StringEquals"]}
        assert conditions.pop("aws:RequestedRegion", HERE) == HERE
        assert all("ResourceTag/" in key or "RequestTag/" in key for key in conditions)
        assert {tuple(value) for value in conditions.values()} <= {("shop",), ("pay",)}


def test_tags_give_no_right_to_tag_a_secret_that_is_there_without_them() -> None:
    """Tagged, it would be the worker's. The embedded AWS tells policies no SecretId, so nobody can ask it."""
    for statement in secret_statements([], [], [ANY], [ANY], [{"App": "shop"}], HERE):
        if "secretsmanager:TagResource" in statement["Action"]:
            condition = statement["Condition"]
            creating = condition.get("Null") == {"secretsmanager:SecretId": "true"}
            has_them = "secretsmanager:ResourceTag/App" in condition["StringEquals"]
            assert creating or has_them


def test_a_named_entry_alone_reaches_its_name_alone() -> None:
    statements = secret_statements([NAMED], [NAMED], [], [], [], HERE)
    assert statements
    assert all(set(each["Resource"]) == {NAMED} for each in statements)


def test_nothing_carried_gives_nothing() -> None:
    assert secret_statements([], [], [], [], [], HERE) == []
