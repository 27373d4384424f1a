"""Errors of the gateway, and the table from gRPC status to HTTP status."""

from __future__ import annotations

import grpc

from node.errors import FornoError, Rejected, Retryable

HTTP_STATUS: dict[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


def http_status(code: grpc.StatusCode) -> int:
    """The HTTP status of a failed call; 500 for what nobody planned."""
    return HTTP_STATUS.get(code, 500)


class Forbidden(Rejected):
    """The token is valid, but does not allow this."""

    reason = "FORBIDDEN"


class TooManyRequests(Retryable):
    """The caller went over its limit: wait `retry_after_s`."""

    reason = "TOO_MANY_REQUESTS"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many requests: try again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class NotBuilt(FornoError):
    """The pages were not built: run `npm ci && npm run build` in gateway/web."""

    reason = "PAGES_NOT_BUILT"
