"""Errors of a rider's client."""

from __future__ import annotations

from node.errors import FornoError, Rejected, Unauthenticated


class SendBufferFull(FornoError):
    """Too many replies and statuses wait to be acknowledged."""

    reason = "OUTBOX_FULL"


class Stopped(Rejected):
    """The edge will not have this rider: a wrong city, a wrong clock, or a newer session elsewhere."""

    reason = "STOPPED"


class TokenRefused(Unauthenticated):
    """The edge does not accept the token: get a new one."""

    reason = "TOKEN_REFUSED"


class FlushTimeout(FornoError):
    """Drain that ended before everything was acknowledged."""

    reason = "DRAIN_TIMEOUT"
