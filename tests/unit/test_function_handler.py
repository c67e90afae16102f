"""The entry: it answers even when it was told nothing of where it runs."""

from __future__ import annotations

import json

import pytest

from regionshift.function.migration_handler import handler


@pytest.mark.parametrize("event", [{}, None, {"action": "migrate", "migration_id": "m-1"}])
def test_without_its_variables_it_names_them(event: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "REGION",
        "ENVIRONMENT",
        "ACCOUNT",
        "DEPLOYMENT_BUCKET",
        "CONFIG_PARAMETER",
        "NOTIFICATION_TOPIC",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    answer = handler(event, None)
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 500
    assert (body["status"], body["region"], body["code"]) == ("error", "eu-west-1", "Misconfigured")
    assert "DEPLOYMENT_BUCKET" in body["error"]
