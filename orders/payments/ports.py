"""Ports of payments: the provider that moves money, and the stored payments.

Stored payments are several ports, one for each who uses them; `adapters/postgres.py` and `adapters/memory.py` keep all
of them. All are durable when a call returns; any call may raise `Retryable` and is safe to repeat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from orders.messaging.message import Offset
from orders.model import OrderId
from orders.payments.instructions import Instruction
from orders.payments.model import Action, Answer, Money, Payment, Refund
from orders.payments.transitions import Settled


@dataclass(frozen=True, slots=True)
class Notice:
    """An answer that the provider sent by itself: later than its first, or the same once more."""

    order_id: OrderId
    action: Action
    answer: Answer


class PaymentProvider(Protocol):
    """Provider that moves the money. The same key always gets the same answer and moves money once, however often sent.

    Every call raises `Retryable` when its outcome is not known: the caller asks again with the same key. A reference
    that the provider does not know (made with another one) is never refused for good by `check`, `capture` or `void`.
    """

    async def authorise(self, key: str, token: str, amount: Money) -> Answer:
        """Hold the amount, refuse, or want the customer to act first."""

    async def check(self, provider_ref: str) -> Answer:
        """What has become of a payment that waited for the customer. One that was not authorised in the end is refused,
        and can never be authorised any more.
        """

    async def capture(self, key: str, provider_ref: str, amount: Money) -> Answer:
        """Take what was held."""

    async def void(self, key: str, provider_ref: str) -> Answer:
        """Give up what was held, or what waited for the customer."""

    async def refund(self, key: str, provider_ref: str, amount: Money) -> Answer:
        """Give back some of what was taken."""

    def notices(self) -> AsyncIterator[Notice]:
        """Answers that come by themselves, for as long as the process runs; may repeat, may be lost."""


@dataclass(slots=True)
class InstructionCounts:
    """Outcome of a batch of instructions, in numbers."""

    applied: int = 0
    duplicates: int = 0
    held: int = 0


class InstructionInbox(Protocol):
    """Takes what orders want; retried by the loop that reads order.events."""

    async def receive(self, instructions: Sequence[Instruction], offsets: Sequence[Offset]) -> InstructionCounts:
        """Apply instructions (`instructions.apply_instructions`), each once and in the order of its version whatever
        arrives when, keep those that must wait for earlier ones, and store the offsets, all at once.

        An instruction received before has the payment's events sent once more: whoever asks again missed the answer.
        """


class PaymentQueue(Protocol):
    """Payments that have something to do; retried by the worker."""

    async def get(self, order_id: OrderId) -> Payment | None:
        """The payment, as last committed."""

    async def claim(self, limit: int, for_s: float) -> list[Payment]:
        """Payments with something to do, which nobody else claims for so long; counts an attempt for each."""

    async def settle(self, settled: Settled, at_ms: int) -> bool:
        """Store the new status, the posting and the event at once; False if the payment has moved on meanwhile."""

    async def postpone(self, order_id: OrderId, for_s: float) -> None:
        """Leave the payment alone for so long, then it is due again."""

    async def overdue(self, older_than_s: float) -> int:
        """How many payments have had something to do for longer than that."""


class Refunds(Protocol):
    """Payments and their refunds, for who asks for money back; retried by the caller, with the same key."""

    async def get(self, order_id: OrderId) -> Payment | None:
        """The payment, as last committed."""

    async def ask_refund(self, order_id: OrderId, key: str, amount: Money | None, reason: str) -> tuple[Refund, bool]:
        """Store a refund (`refunds.new_refund`) to be made, once for each key; True when it was asked for before.

        Raises `UnknownOrder`, and what `refunds.asked_before` and `new_refund` raise.
        """

    async def refunds(self, order_id: OrderId) -> list[Refund]:
        """The refunds of an order, oldest first, as last committed."""


class WebhookInbox(Protocol):
    """Takes the provider's webhooks; retried by the provider, who sends one again that was not answered."""

    async def note_webhook(self, event_id: str, kind: str, order_id: OrderId) -> bool:
        """Make the payment due at once that an event of the provider is about. False, and nothing done, when the event
        was noted before.
        """
