"""Errors that end a rider's stream. A message that is refused ends nothing: see `model.Refusal`."""

from __future__ import annotations

from node.errors import Invalid, Rejected, Retryable, Unauthenticated


class NotARider(Unauthenticated):
    """The token is valid, but not a rider's."""

    reason = "NOT_A_RIDER"


class BadHello(Invalid):
    """The first message up is missing or wrong."""

    reason = "BAD_HELLO"


class Superseded(Rejected):
    """A newer session of the same rider is open: this stream is over, do not connect again."""

    reason = "SUPERSEDED"


class NotIdle(Rejected):
    """The rider still has something to do in its old home: finish it there, with the old token."""

    reason = "NOT_IDLE"


class HandoverPending(Retryable):
    """The old home has not granted the handover yet: connect again."""

    reason = "HANDOVER_PENDING"


class Closing(Retryable):
    """This edge is going away: connect again, to any edge."""

    reason = "DRAINING"


class LogAway(Retryable):
    """The log did not say that it is durable. It may be or not: append it again, readers drop duplicates."""

    reason = "LOG_AWAY"


class OwnerAway(Retryable):
    """The city's owner did not answer in time."""

    reason = "OWNER_AWAY"
