"""Answer errors: one JSON shape, one table of statuses."""

from __future__ import annotations

import math

import grpc
import grpc.aio
import orjson
from starlette.responses import Response

from gateway.errors import Forbidden, NotBuilt, TooManyRequests, http_status
from node.errors import FornoError
from node.rpc import fault_of, status_of

#: Retry-After of a service that is away, wall seconds.
RETRY_AFTER_S = 1


def fault(status: int, reason: str, message: str, field: str = "", retry_after_s: float | None = None) -> Response:
    """An error answer."""
    headers = {"cache-control": "no-store"}
    if status in (429, 503):
        headers["retry-after"] = str(math.ceil(retry_after_s or RETRY_AFTER_S))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    body = orjson.dumps({"error": {"reason": reason, "message": message, "field": field}})
    return Response(body, status, headers, "application/json")


def of_error(error: FornoError) -> Response:
    """An error of ours."""
    if isinstance(error, TooManyRequests):
        return fault(429, error.reason, str(error), retry_after_s=error.retry_after_s)
    status = http_status(status_of(error))
    if isinstance(error, Forbidden):
        status = 403
    if isinstance(error, NotBuilt):
        status = 503
    return fault(status, error.reason, str(error), error.details.get("field", ""))


def of_call(error: grpc.aio.AioRpcError) -> Response:
    """A failed call to a service. What is inside of a broken service is not told to the world."""
    found = fault_of(error)
    status = http_status(found.code)
    message = found.message if status < 500 else "a service is away for a moment: try again"
    return fault(status, found.reason, message, found.field)
