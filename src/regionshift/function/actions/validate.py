"""``validate``: measure this region's part of the environment and say so, check by check."""

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
    """Run every check side by side; 200 when none is false, else 500."""
    findings = _measure(request, surroundings, _checks_for(request))
    results = {name: verdict(found) for name, found in findings.items()}
    fields = {
        "validation_results": results,
        "details": {name: [asdict(one) for one in found] for name, found in findings.items()},
    }
    failed = [name for name, result in results.items() if result is False]
    region = surroundings.variables.region
    if failed:
        sentence = f"These checks are false in {region}: {', '.join(failed)}."
        return Answer(500, request.action, sentence, code="ValidationFailed", fields=fields)
    return Answer(200, request.action, f"Every check that applies is true in {region}.", fields=fields)


def _checks_for(request: FunctionRequest) -> Mapping[str, Check]:
    return CHECKS if request.linked else {**CHECKS, "replication": not_linked}


def verdict(findings: Sequence[CheckAnswer]) -> bool | str:
    """False when one finding is, else true; ``does not apply`` when nothing could be asked of this region."""
    if any(finding.ok is False for finding in findings):
        return False
    return True if any(finding.ok for finding in findings) else DOES_NOT_APPLY


def _measure(
    request: FunctionRequest, surroundings: ActionContext, checks: Mapping[str, Check]
) -> dict[str, Sequence[CheckAnswer]]:
    # One thread more than checks: some of them wait for the configuration that the first one fetches.
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
        # A reply that we did not foresee makes this check false; the others still say what they measured.
        logger.exception(f"The check {name} failed in a way it does not know.")
        return (CheckAnswer(name, f"failed unexpectedly: {type(problem).__name__}", False),)
