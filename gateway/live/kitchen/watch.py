"""One watched kitchen: its board, and which frames its screens get when it changes. Pure.

A screen that was cut off says how far it had come, `(epoch, seq)`: it gets the changes since, or a snapshot where those
are not kept any more. `epoch` is the life of this watch: another process, or the same after a pause, has another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from gateway.live import frames
from gateway.live.kitchen.model import Board, Kitchen, Ticket

#: Changes kept for screens that come back.
MAX_CHANGES = 256


class KitchenWatch:
    """The state of a watched kitchen."""

    def __init__(self, kitchen: Kitchen, epoch: int, clock_line: Mapping[str, float]) -> None:
        self.kitchen = kitchen
        self.epoch = epoch
        self.seq = 0
        self._clock_line = clock_line
        self._tickets: dict[str, Ticket] = {}
        self._about: dict[str, Any] = {}
        self._changes: deque[tuple[int, bytes]] = deque(maxlen=MAX_CHANGES)

    def on_board(self, board: Board) -> bytes | None:
        """The frame that tells what changed, or None when nothing did.

        Boards may be read out of turn: a ticket that is older than the one known is not taken for news.
        """
        fresh = {ticket.order_id: ticket for ticket in board.tickets}
        changed = [ticket for ticket in board.tickets if ticket.version > self._version(ticket.order_id)]
        gone = [order_id for order_id in self._tickets if order_id not in fresh]
        if not changed and not gone and board.about == self._about and self.seq:
            return None
        self._tickets = {
            order_id: ticket if ticket.version >= self._version(order_id) else self._tickets[order_id]
            for order_id, ticket in fresh.items()
        }
        self._about = board.about
        self.seq += 1
        news = {"changed": [ticket.body for ticket in changed], "gone": gone, **self._about, **self._place()}
        frame = frames.json_frame({"type": "tickets", **news})
        self._changes.append((self.seq, frame))
        return frame

    def snapshot(self) -> bytes:
        """All that the kitchen may know now."""
        return frames.json_frame(
            {
                "type": "snapshot",
                **self.kitchen._asdict(),
                "tickets": [ticket.body for ticket in self._tickets.values()],
                **self._about,
                **self._place(),
                "clock": self._clock_line,
            }
        )

    def resumed(self, epoch: int, seq: int) -> list[bytes] | None:
        """Frames missed by a screen that had seen everything up to (epoch, seq); None when only a snapshot will do."""
        oldest = self._changes[0][0] if self._changes else self.seq + 1
        if epoch != self.epoch or not oldest - 1 <= seq <= self.seq or seq < 1:
            return None
        missed = [frame for number, frame in self._changes if number > seq]
        return [*missed, frames.json_frame({"type": "resumed", **self._place()})]

    def _version(self, order_id: str) -> int:
        known = self._tickets.get(order_id)
        return known.version if known is not None else 0

    def _place(self) -> dict[str, int]:
        return {"epoch": self.epoch, "seq": self.seq}
