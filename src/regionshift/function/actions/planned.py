"""``migrate`` and ``rollback`` as far as they go today: requests are checked, then answered with 501."""

from __future__ import annotations

from regionshift.function.actions.record import require_record
from regionshift.function.answer import Answer
from regionshift.function.request import Request
from regionshift.function.surroundings import Surroundings


def migrate(request: Request, _surroundings: Surroundings) -> Answer:
    """Say that nothing is copied yet."""
    return _not_yet(request)


def rollback(request: Request, surroundings: Surroundings) -> Answer:
    """Refuse an id without a record, then say that nothing is undone yet."""
    require_record(request, surroundings)
    return _not_yet(request)


def _not_yet(request: Request) -> Answer:
    return Answer(
        501,
        request.action,
        f"action {request.action} is not implemented by this version; nothing was changed.",
        code="NotImplemented",
        migration_id=request.migration_id,
    )
