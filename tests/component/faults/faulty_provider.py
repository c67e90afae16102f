"""The local provider's handlers with faults in them: before, in or after the call that a test names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from botocore.exceptions import ClientError

from regionshift.local.provider.handler import Context, Handler, Update
from regionshift.local.provider.handlers import BY_TOKEN

_REFUSALS = {"refused": ("AccessDenied", 403), "down": ("ServiceUnavailable", 503)}


class Meddler(Protocol):
    """Who says what goes wrong.

    ``fault`` is asked before a call of the provider to AWS, by what is done to what (``create vpc-eu-west-1``):
    ``refused``, ``down``, ``lost`` (it is done, its answer is lost), anything else is met by ``meet`` once it is done.
    """

    def begin(self) -> None: ...
    def end(self) -> None: ...
    def fault(self, where: str, what: str) -> str | None: ...
    def meet(self, how: str) -> None: ...


def faulty(meddler: Meddler) -> Mapping[str, Handler]:
    """Every handler of the provider, with the faults of ``meddler`` in it."""
    return {token: _faulty(handler, meddler) for token, handler in BY_TOKEN.items()}


def _faulty(handler: Handler, meddler: Meddler) -> Handler:
    kind = cast(Any, type(handler))

    class Faulty(kind):  # type: ignore[misc]
        def create(self, context: Context, inputs: Mapping[str, Any]) -> str:
            return str(_call(meddler, "create", context, lambda: super(Faulty, self).create(context, inputs)))

        def finish(self, context: Context, identity: str, inputs: Mapping[str, Any]) -> None:
            _call(meddler, "finish", context, lambda: super(Faulty, self).finish(context, identity, inputs))

        def update(self, context: Context, identity: str, change: Update) -> None:
            _call(meddler, "update", context, lambda: super(Faulty, self).update(context, identity, change))

        def delete(self, context: Context, identity: str, properties: Mapping[str, Any]) -> None:
            _call(
                meddler, "delete", context, lambda: super(Faulty, self).delete(context, identity, properties)
            )

    return cast(Handler, Faulty())


def _call(meddler: Meddler, op: str, context: Context, call: Callable[[], Any]) -> Any:
    meddler.begin()
    try:
        how = meddler.fault("aws", f"{op} {context.urn.rsplit('::', 1)[-1]}")
        if how in _REFUSALS:
            raise _error(*_REFUSALS[how])
        done = call()
        if how == "lost":
            raise _error("RequestTimeout", 408)
        if how:
            meddler.meet(how)
        return done
    finally:
        meddler.end()


def _error(code: str, status: int) -> ClientError:
    told = {"Code": code, "Message": "as the test wants"}
    return ClientError(cast(Any, {"Error": told, "ResponseMetadata": {"HTTPStatusCode": status}}), "Call")
