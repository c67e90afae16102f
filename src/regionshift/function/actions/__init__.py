"""The function's actions, a file each.

A new action needs a file, a line here and its fields in request.py. An action takes a checked request and its
context and returns an answer. It may raise RefusedError before it changes anything, and AWS's errors, which become a
500.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from regionshift.function.actions.migrate import migrate
from regionshift.function.actions.rollback import rollback
from regionshift.function.actions.validate import validate
from regionshift.function.answer import Answer
from regionshift.function.request import MIGRATE, ROLLBACK, VALIDATE, FunctionRequest
from regionshift.function.surroundings import ActionContext

Action = Callable[[FunctionRequest, ActionContext], Answer]

ACTIONS: Mapping[str, Action] = MappingProxyType({VALIDATE: validate, MIGRATE: migrate, ROLLBACK: rollback})
