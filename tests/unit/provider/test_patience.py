"""What AWS refuses only for now is asked for again; everything else is told at once."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from regionshift.local.provider.failures import passes


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
