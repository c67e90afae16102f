"""What a check looks at, and how it asks: one question, one finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from regionshift.function.clients import FunctionClients
from regionshift.function.configuration import FunctionConfiguration
from regionshift.function.problems import AWS_PROBLEMS, describe
from regionshift.function.variables import Variables

Reply = TypeVar("Reply")


@dataclass(frozen=True)
class CheckAnswer:
    """What was asked, what came back, and whether that is as it should be (None: it does not apply)."""

    asked: str
    answer: str
    ok: bool | None


@dataclass(frozen=True)
class Subject:
    """The environment's part in this region.

    Attributes:
        configuration: gives the configuration read in this call, or raises ConfigurationError; may be called
            from several threads, the store is asked once.
        announce: publishes the message that the action started; gives its id or raises AWS's error.
    """

    variables: Variables
    clients: FunctionClients
    configuration: Callable[[], FunctionConfiguration]
    announce: Callable[[], str]


def ask(asked: str, call: Callable[[], Reply], judge: Callable[[Reply], tuple[bool, str]]) -> CheckAnswer:
    """Make ``call``; ``judge`` says whether its reply is right, and what it was. An AWS error is wrong."""
    try:
        reply = call()
    except AWS_PROBLEMS as problem:
        return CheckAnswer(asked, describe(problem), False)
    ok, answer = judge(reply)
    return CheckAnswer(asked, answer, ok)
