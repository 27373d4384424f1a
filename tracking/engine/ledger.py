"""Ledger of a session: which messages may be acknowledged.

Messages are made durable in groups that finish in any order; the acknowledged number only grows over an unbroken run:

    taken     1   2-51   52   53-90          tickets, in the order of arrival
    settled   x           x    x
    acked     1                              -> 52..90 wait for 2-51
"""

from __future__ import annotations

from collections import deque


class Ticket:
    """Messages of one session that become durable together: the highest sequence number, and how many fixes."""

    __slots__ = ("fixes", "last_seq", "settled")

    def __init__(self, last_seq: int, fixes: int) -> None:
        self.last_seq = last_seq
        self.fixes = fixes
        self.settled = False


class AckLedger:
    """Tickets of a session in the order of arrival. All messages <= `acked` are settled: it may be acknowledged."""

    __slots__ = ("_open", "acked", "unacked_fixes")

    def __init__(self) -> None:
        self._open: deque[Ticket] = deque()
        self.acked = 0
        self.unacked_fixes = 0

    def take(self, last_seq: int, fixes: int) -> Ticket:
        """A ticket for a message; a later message of the same group may `extend` it while it is the newest."""
        ticket = Ticket(last_seq, fixes)
        self._open.append(ticket)
        self.unacked_fixes += fixes
        return ticket

    def extend(self, ticket: Ticket, last_seq: int, fixes: int) -> bool:
        """Adds a message to the ticket if nothing else was taken since; False if it needs a ticket of its own."""
        if not self._open or self._open[-1] is not ticket:
            return False
        ticket.last_seq = last_seq
        ticket.fixes += fixes
        self.unacked_fixes += fixes
        return True

    def settle(self, ticket: Ticket) -> bool:
        """The ticket's messages are durable or refused. True if `acked` grew."""
        ticket.settled = True
        grew = False
        while self._open and self._open[0].settled:
            first = self._open.popleft()
            self.acked = first.last_seq
            self.unacked_fixes -= first.fixes
            grew = True
        return grew

    @property
    def empty(self) -> bool:
        """Whether everything taken is acknowledged."""
        return not self._open
