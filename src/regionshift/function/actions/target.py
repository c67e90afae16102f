"""``enable_validation``: a migration begins only if what it writes to is as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from regionshift.function.checks import Check
from regionshift.function.checks.bucket import check_bucket
from regionshift.function.checks.encryption import check_encryption
from regionshift.function.checks.subject import Subject
from regionshift.function.configuration import FunctionConfiguration
from regionshift.function.request import FunctionRequest, RefusedError
from regionshift.function.surroundings import ActionContext

# What the objects and the records of every migration into the region rest on.
_CHECKS: Mapping[str, Check] = {"s3_bucket": check_bucket, "encryption": check_encryption}


def require_valid_target(
    request: FunctionRequest, surroundings: ActionContext, configuration: FunctionConfiguration
) -> None:
    """Ask the checks of the region's bucket and key, when the configuration wants it.

    Raises:
        RefusedError: 409, one of them is false; it is named.
    """
    if configuration.enable_validation is not True:
        return
    subject = Subject(
        surroundings.variables,
        surroundings.clients,
        configuration=lambda: configuration,
        announce=lambda: surroundings.announce(request),
    )
    with ThreadPoolExecutor(len(_CHECKS)) as pool:
        asked = {name: pool.submit(check, subject) for name, check in _CHECKS.items()}
    for name, answered in asked.items():
        for finding in answered.result():
            if finding.ok is False:
                raise RefusedError(
                    409,
                    "TargetNotValid",
                    f"The target does not validate: {name}: {finding.asked}: {finding.answer}."
                    " Nothing was copied; mend it and call again.",
                )
