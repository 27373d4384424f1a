"""Errors of a city's logs."""

from __future__ import annotations

from node.errors import Retryable


class LogReplaced(Retryable):
    """The log has another incarnation than the one that was opened: open it anew, old offsets mean nothing."""

    reason = "LOG_REPLACED"
