"""The calls of a boto3 client in the log, by botocore's events (boto3 guide, "Extensibility guide")."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from regionshift import logs

_OURS = "regionshift_call"


def log_calls(client: Any) -> None:
    """From now on each call of ``client`` is logged: what of whom, how long, how often tried, and its request's id.

    In full also the names of its parameters, and each HTTP request with the wait before it. Of an error the code
    alone: AWS repeats values in its sentence.
    """
    service, region = client.meta.service_model.service_name, client.meta.region_name

    def begins(params: Mapping[str, object], model: Any, context: dict[str, Any], **_: Any) -> None:
        what = {"service": service, "operation": model.name, "region": region}
        context[_OURS] = {"began": time.monotonic(), "what": what}
        logs.tell("call begins", logs.DETAILS, **what, parameters=",".join(sorted(params)))

    def sends(request: Any, **_: Any) -> None:
        ours, now = request.context.get(_OURS), time.monotonic()
        if ours is not None:  # a request that is only signed has none
            waited = _ms(ours["answered"], now) if "answered" in ours else None
            ours |= {
                "sent": now,
                "waited": waited,
                "host": urlsplit(request.url).netloc,
                "method": request.method,
            }

    def answered(context: dict[str, Any], response_dict: Any, exception: Any, **_: Any) -> None:
        ours, now = context[_OURS], time.monotonic()
        ours["answered"] = now
        logs.tell(
            "http",
            logs.DETAILS,
            host=ours["host"],
            method=ours["method"],
            status=response_dict["status_code"] if response_dict else None,
            ms=_ms(ours["sent"], now),
            waited_ms=ours["waited"],
            error=type(exception).__name__ if exception is not None else None,
        )

    def ended(context: dict[str, Any], **more: Any) -> None:
        ours = context[_OURS]
        parsed = more.get("parsed") or {}
        answer = parsed.get("ResponseMetadata", {})
        failed = type(more["exception"]).__name__ if "exception" in more else None
        logs.tell(
            "call",
            **ours["what"],
            ms=_ms(ours["began"], time.monotonic()),
            retries=context.get("retries", {}).get("attempt", 1) - 1,
            status=answer.get("HTTPStatusCode"),
            request_id=answer.get("RequestId"),
            error=failed or parsed.get("Error", {}).get("Code"),
        )

    events = client.meta.events
    for event, handler in (
        ("before-parameter-build", begins),
        ("request-created", sends),
        ("response-received", answered),
        ("after-call", ended),
        ("after-call-error", ended),
    ):
        events.register(event, handler)


def _ms(began: float, ended: float) -> float:
    return round(1000 * (ended - began), 1)
