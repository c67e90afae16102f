"""What the function can do, a file each.

A new action is a new file, a line here and its fields in request.py.

An action takes a checked request and the surroundings and gives an answer. It may raise RefusedError while
nothing is changed yet, and AWS's errors, which become a 500.
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
