"""Turn an event into an answer: parse, act, report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from regionshift.function.actions import ACTIONS, Action
from regionshift.function.answer import AWS_PROBLEMS, Answer, describe
from regionshift.function.clients import FunctionClients
from regionshift.function.reporter import Reporter
from regionshift.function.request import FunctionRequest, RefusedError, parse
from regionshift.function.surroundings import ActionContext, Clock, Invocation, Variables, utc_now


class Dispatcher:
    """Answers each event, also when the action fails.

    Args:
        logger, record: see ``Reporter``.
        clock: returns the time in UTC.
        actions: by name; the names are those that ``request.parse`` accepts.
    """

    def __init__(
        self,
        variables: Variables,
        clients: FunctionClients,
        logger: Logger,
        record: Logger,
        *,
        clock: Clock = utc_now,
        actions: Mapping[str, Action] = ACTIONS,
    ) -> None:
        self._variables = variables
        self._clients = clients
        self._logger = logger
        self._clock = clock
        self._actions = actions
        self._reporter = Reporter(variables, clients, clock, logger, record)

    def respond(self, event: object, context: object) -> dict[str, Any]:
        """Return the answer in Lambda's form: ``statusCode`` and a JSON ``body``. Never raises."""
        invocation = Invocation.of(context)
        answer = self._answer(event, invocation)
        self._reporter.finish(answer, invocation)
        return answer.response(self._variables.region, self._clock())

    def _answer(self, event: object, invocation: Invocation) -> Answer:
        try:
            request = parse(event)
        except RefusedError as refused:
            return _refusal(refused, refused.action, refused.migration_id)
        return self._act(request, invocation)

    def _act(self, request: FunctionRequest, invocation: Invocation) -> Answer:
        surroundings = ActionContext(
            self._variables, self._clients, self._clock, self._logger, invocation, self._reporter.announce
        )
        try:
            return self._actions[request.action](request, surroundings)
        except RefusedError as refused:
            return _refusal(refused, request.action, request.migration_id)
        except AWS_PROBLEMS as problem:
            return _failure(
                request, "AwsError", f"{request.action} failed because of AWS: {describe(problem)}"
            )
        except Exception as problem:
            # The caller gets an answer; the log gets the traceback.
            self._logger.exception("The action failed unexpectedly.")
            return _failure(request, "InternalError", f"{request.action} failed: {type(problem).__name__}.")


def _refusal(refused: RefusedError, action: str, migration_id: str | None) -> Answer:
    return Answer(refused.status_code, action, refused.sentence, code=refused.code, migration_id=migration_id)


def _failure(request: FunctionRequest, code: str, sentence: str) -> Answer:
    return Answer(500, request.action, sentence, code=code, migration_id=request.migration_id)
