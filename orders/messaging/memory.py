"""An outbox in memory, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from orders.messaging.message import Message
from orders.messaging.relay import Send
from orders.model import OrderId


@dataclass(slots=True)
class MemoryOutbox:
    """Messages in the order they were written, unsent and sent."""

    unsent: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    async def relay(self, limit: int, send: Send) -> int:
        """See `messaging.relay.Outbox`."""
        orders = list(dict.fromkeys(message.order_id for message in self.unsent))[:limit]
        claimed = [message for message in self.unsent if message.order_id in orders]
        if claimed:
            await send(claimed)
            self.unsent = [message for message in self.unsent if message not in claimed]
            self.sent += claimed
        return len(claimed)

    def send_again(self, orders: Sequence[OrderId]) -> None:
        """Has what was sent of these orders sent once more."""
        again = [message for message in self.sent if message.order_id in orders]
        self.sent = [message for message in self.sent if message not in again]
        self.unsent = [*again, *self.unsent]
