"""What AWS refuses only for now is asked for again; everything else is told at once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from regionshift.local.provider.failures import ask_again, passes


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Create")


@pytest.mark.parametrize(
    ("error", "is_for_now"),
    [
        (refusal("InvalidParameterValueException", "The role … cannot be assumed by Lambda."), True),
        (refusal("AccessDeniedException", "… is not authorized to assume the provided role."), True),
        (refusal("InvalidParameter", "Invalid parameter: Policy Error: PrincipalNotFound"), True),
        (refusal("OperationAborted", "A conflicting conditional operation is currently in progress."), True),
        (refusal("ResourceConflictException", "The operation cannot be performed at this time. …"), True),
        (refusal("AccessDeniedException", "not authorized to perform: lambda:CreateFunction"), False),
        (refusal("InvalidParameterValueException", "Unzipped size must be smaller"), False),
        (refusal("ResourceConflictException", "Function already exist: f"), False),
    ],
    ids=str,
)
def test_what_passes_is_told_from_what_does_not(error: ClientError, is_for_now: bool) -> None:
    assert passes(error) is is_for_now


def test_a_service_that_answers_and_does_not_serve_is_asked_for_some_two_minutes() -> None:
    def pause(attempts: int, status: int) -> float | None:
        return ask_again(attempts, (SimpleNamespace(status_code=status), {}))

    waits = [wait for attempts in range(5, 40) if (wait := pause(attempts, 503)) is not None]
    assert 60 < sum(waits) < 130
    lost = EndpointConnectionError(endpoint_url="https://127.0.0.1")
    assert [ask_again(attempts, None, lost) is None for attempts in (1, 4, 5)] == [False, False, True]
    assert ask_again(1, None, ValueError()) is None
    assert [pause(5, status) is None for status in (400, 403, 404, 429, 500)] == [True] * 3 + [False] * 2
