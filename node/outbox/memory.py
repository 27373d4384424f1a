"""An outbox and a place to send to, in memory; for tests and simulations. Same promises as the real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from node.errors import Retryable
from node.outbox.message import Message, Send


@dataclass(slots=True)
class MemoryOutbox:
    """Messages in the order they were written, unsent and sent (those refused for good among them).

    With `whole_keys` a claim is all messages of so many keys, as in orders; without, so many messages, as in dispatch.
    """

    whole_keys: bool = True
    unsent: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    refused: list[Message] = field(default_factory=list)
    _incarnation: str = ""

    async def relay(self, limit: int, send: Send) -> int:
        claimed = self._claimed(limit)
        if claimed:
            refused = await send(claimed)
            self.refused += [claimed[number] for number in refused]
            self.unsent = [message for message in self.unsent if message not in claimed]
            self.sent += claimed
        return len(claimed)

    async def log_is(self, incarnation: str) -> int:
        before, self._incarnation = self._incarnation, incarnation
        if before in ("", incarnation):
            return 0
        again, self.sent = self.sent, []
        self.unsent = [*again, *self.unsent]
        return len(again)

    def send_again(self, keys: Sequence[str]) -> None:
        """Have what was sent of these keys sent once more."""
        again = [message for message in self.sent if message.key in keys]
        self.sent = [message for message in self.sent if message not in again]
        self.unsent = [*again, *self.unsent]

    def _claimed(self, limit: int) -> list[Message]:
        if not self.whole_keys:
            return self.unsent[:limit]
        keys = list(dict.fromkeys(message.key for message in self.unsent))[:limit]
        return [message for message in self.unsent if message.key in keys]


@dataclass(slots=True)
class MemoryPublisher:
    """`Publisher` as a list. With `away` it refuses, as a broker that is down."""

    name: str = "memory-1"
    away: bool = False
    messages: list[Message] = field(default_factory=list)

    async def incarnation(self) -> str:
        self._check()
        return self.name

    async def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        self._check()
        self.messages += messages
        return {}

    def _check(self) -> None:
        if self.away:
            raise Retryable("the broker is away", reason="KAFKA_AWAY")
