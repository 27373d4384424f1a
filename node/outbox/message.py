"""A message to send, and what a relay needs: where messages wait and where they go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A message to send; those of one key are sent in the order they were written.

    `event_id` is stable over retries. `city` is the city that the message comes from or goes to, empty for none.
    """

    event_id: str
    key: str
    topic: str
    payload: bytes
    city: str = ""


#: Sends messages, in order; they are durable when it returns, but for those that will never be taken, which it returns
#: by index, with the reason. Raises `Retryable`: some may have been sent.
Send = Callable[[Sequence[Message]], Awaitable[Mapping[int, str]]]


class Outbox(Protocol):
    """Messages that were committed and are to be sent, at least once. Any call may raise `Retryable`."""

    async def relay(self, limit: int, send: Send) -> int:
        """Claim messages (up to `limit` of a city, or all of up to `limit` keys that no other relay holds), send them
        in the order they were written, mark them as sent, set those aside that will never be taken; how many they were.
        When `send` raises nothing is marked: all are sent again.
        """

    async def log_is(self, incarnation: str) -> int:
        """Tell which log messages go to. When it is another one than before, those sent to the old one within the last
        24 h wait again; how many they are.
        """


class Publisher(Protocol):
    """Port to the broker that messages are published to."""

    async def incarnation(self) -> str:
        """Identity of the broker's log; another one holds nothing of what was sent. Raises `Retryable`."""

    async def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """See `Send`."""
