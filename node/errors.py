"""The ways in which a call can fail, shared by every service.

A service's own `errors.py` derives from these; `node.rpc` maps them to gRPC status once, for all.
"""

from __future__ import annotations

from collections.abc import Mapping


class FornoError(Exception):
    """Something went wrong.

    `reason` is a machine's word in UPPER_SNAKE_CASE, stable over releases; the message is for people and says
    what to do.
    """

    reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None, details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason
        self.details: Mapping[str, str] = dict(details or {})


class Invalid(FornoError):
    """The input is wrong and stays wrong: fix it, do not retry. Names the field at fault."""

    reason = "INVALID"

    def __init__(self, field: str, message: str, *, reason: str | None = None) -> None:
        super().__init__(f"{field}: {message}", reason=reason, details={"field": field})
        self.field = field


class Unauthenticated(FornoError):
    """No valid token."""

    reason = "UNAUTHENTICATED"


class NotFound(FornoError):
    """There is no such thing, or it is not yours to see."""

    reason = "NOT_FOUND"


class Rejected(FornoError):
    """The input is well formed, but the present state refuses it."""

    reason = "REJECTED"


class Conflict(Rejected):
    """Something of this name or key exists already, with another content."""

    reason = "CONFLICT"


class Retryable(FornoError):
    """A call failed that may succeed later: the caller retries with backoff, every retry is idempotent."""

    reason = "UNAVAILABLE"

    #: Whether the first tries need no pause before them.
    at_once = False
