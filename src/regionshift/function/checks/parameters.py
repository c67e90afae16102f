"""``parameters``: the configuration decrypts now and is this region's and this environment's."""

from __future__ import annotations

from collections.abc import Sequence

from regionshift.function.checks.subject import CheckAnswer, Subject
from regionshift.function.configuration import LOG_LEVELS, ConfigurationError, FunctionConfiguration
from regionshift.function.variables import Variables


def check_parameters(subject: Subject) -> Sequence[CheckAnswer]:
    """Read and decrypt, then compare; the answers name fields, never values."""
    variables = subject.variables
    asked = f"{variables.config_store} {variables.config_parameter}: decrypts to a JSON object"
    try:
        configuration = subject.configuration()
    except ConfigurationError as problem:
        return (CheckAnswer(asked, str(problem), False),)
    wrong = _wrong_fields(configuration, variables)
    return (
        CheckAnswer(asked, "decrypted", True),
        CheckAnswer(
            "its region and environment are ours, log_level and enable_validation are valid",
            f"not so: {', '.join(wrong)}" if wrong else "they are",
            not wrong,
        ),
    )


def _wrong_fields(configuration: FunctionConfiguration, variables: Variables) -> list[str]:
    right = {
        "region": configuration.region == variables.region,
        "environment": configuration.environment == variables.environment,
        "log_level": configuration.log_level in LOG_LEVELS,
        "enable_validation": isinstance(configuration.enable_validation, bool),
    }
    return [name for name, is_right in right.items() if not is_right]
