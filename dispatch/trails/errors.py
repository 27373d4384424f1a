"""Errors of questions about trails."""

from __future__ import annotations

from node.errors import FornoError, Invalid, NotFound, Rejected


class TooMany(Rejected):
    """More riders than a question may look at: a smaller circle has fewer, an archived hour has not."""

    reason = "TOO_MANY_RIDERS"


class NotHeard(NotFound):
    """No fix of the rider close to that time."""

    reason = "NOT_HEARD_OF"


class BadSpan(Invalid):
    """A span of time that ends before it begins, or that is too long."""

    reason = "BAD_SPAN"


class ArchiveBroken(FornoError):
    """An archive file does not read back as it was written."""

    reason = "ARCHIVE_BROKEN"
