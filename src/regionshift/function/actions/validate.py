"""``validate``: check the environment's resources in this region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict

from aws_lambda_powertools import Logger

from regionshift.function.answer import Answer
from regionshift.function.checks import CHECKS, Check, CheckAnswer, Subject, not_linked
from regionshift.function.configuration import LOG_LEVELS, FunctionConfiguration, read_configuration
from regionshift.function.request import FunctionRequest
from regionshift.function.surroundings import ActionContext

DOES_NOT_APPLY = "does not apply"


def validate(request: FunctionRequest, surroundings: ActionContext) -> Answer:
    """Run all checks in parallel. Return 200 when none failed, else 500."""
    findings = _measure(request, surroundings, _checks_for(request))
    results = {name: verdict(found) for name, found in findings.items()}
    fields = {
        "validation_results": results,
        "details": {name: [asdict(one) for one in found] for name, found in findings.items()},
    }
    failed = [name for name, result in results.items() if result is False]
    region = surroundings.variables.region
    if failed:
        sentence = f"These checks failed in {region}: {', '.join(failed)}."
        return Answer(500, request.action, sentence, code="ValidationFailed", fields=fields)
    return Answer(200, request.action, f"All checks that apply passed in {region}.", fields=fields)


def _checks_for(request: FunctionRequest) -> Mapping[str, Check]:
    return CHECKS if request.linked else {**CHECKS, "replication": not_linked}


def verdict(findings: Sequence[CheckAnswer]) -> bool | str:
    """Return False when a finding is False, else True; ``does not apply`` when no finding applies."""
    if any(finding.ok is False for finding in findings):
        return False
    return True if any(finding.ok for finding in findings) else DOES_NOT_APPLY


def _measure(
    request: FunctionRequest, surroundings: ActionContext, checks: Mapping[str, Check]
) -> dict[str, Sequence[CheckAnswer]]:
    # One more thread than checks: it reads the configuration, for which some checks wait.
    with ThreadPoolExecutor(len(checks) + 1) as pool:
        reading = pool.submit(_configuration, surroundings)
        subject = Subject(
            surroundings.variables,
            surroundings.clients,
            configuration=reading.result,
            announce=lambda: surroundings.announce(request),
        )
        running: dict[str, Future[Sequence[CheckAnswer]]] = {
            name: pool.submit(_safely, name, check, subject, surroundings.logger)
            for name, check in checks.items()
        }
        return {name: future.result() for name, future in running.items()}


def _configuration(surroundings: ActionContext) -> FunctionConfiguration:
    configuration = read_configuration(surroundings.variables, surroundings.clients)
    if configuration.log_level in LOG_LEVELS:
        surroundings.logger.setLevel(str(configuration.log_level))
    return configuration


def _safely(name: str, check: Check, subject: Subject, logger: Logger) -> Sequence[CheckAnswer]:
    try:
        return check(subject)
    except Exception as problem:
        # An unexpected reply fails only this check.
        logger.exception(f"The check {name} failed unexpectedly.")
        return (CheckAnswer(name, f"failed unexpectedly: {type(problem).__name__}", False),)
