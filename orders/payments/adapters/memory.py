"""Payments in memory, for tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from node.clock import Clock
from node.outbox.memory import MemoryOutbox
from orders.errors import UnknownOrder
from orders.messaging.message import Offset
from orders.model import OrderId
from orders.payments.adapters.codec import encode, encode_void
from orders.payments.instructions import Instruction, apply_instructions
from orders.payments.ledger import Account, Posting, posting_of
from orders.payments.model import Money, Payment, Refund, RefundStatus
from orders.payments.ports import InstructionCounts
from orders.payments.refunds import asked_before, new_refund
from orders.payments.transitions import Settled, next_action


@dataclass(slots=True)
class _Kept:
    payment: Payment | None = None
    seen: int = 0
    due_ms: float | None = None
    changed_ms: int = 0
    held: tuple[Instruction, ...] = ()
    refunds: list[Refund] = field(default_factory=list)


@dataclass(slots=True)
class MemoryPayments:
    """Payments of one process."""

    clock: Clock
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    _kept: dict[OrderId, _Kept] = field(default_factory=lambda: defaultdict(_Kept))
    _postings: list[Posting] = field(default_factory=list)
    _webhooks: set[str] = field(default_factory=set)

    async def get(self, order_id: OrderId) -> Payment | None:
        return self._kept[order_id].payment

    async def receive(self, instructions: Sequence[Instruction], offsets: Sequence[Offset]) -> InstructionCounts:
        counts = InstructionCounts()
        for order_id in dict.fromkeys(instruction.order_id for instruction in instructions):
            kept = self._kept[order_id]
            arrived = [instruction for instruction in instructions if instruction.order_id == order_id]
            outcome = apply_instructions(kept.payment, kept.seen, [*kept.held, *arrived])
            kept.seen, kept.held = outcome.seen, outcome.hold
            if outcome.applied and outcome.payment is not None:
                self._store(outcome.payment)
                if outcome.told:
                    self.outbox.unsent.append(encode_void(outcome.payment, self.clock.domain_ms()))
            elif outcome.duplicates:
                self.outbox.send_again([order_id])
            counts.applied += outcome.applied
            counts.duplicates += outcome.duplicates
            counts.held += len(outcome.hold)
        self.offsets |= {(offset.topic, offset.partition): offset.next for offset in offsets}
        return counts

    async def claim(self, limit: int, for_s: float) -> list[Payment]:
        now_ms = self.clock.wall_ms()
        due = [kept for kept in self._kept.values() if kept.due_ms is not None and kept.due_ms <= now_ms][:limit]
        claimed = []
        for kept in due:
            if kept.payment is not None:
                kept.payment = replace(kept.payment, attempts=kept.payment.attempts + 1)
                kept.due_ms = now_ms + 1000 * for_s
                claimed.append(kept.payment)
        return claimed

    async def settle(self, settled: Settled, at_ms: int) -> bool:
        payment, kept = settled.payment, self._kept[settled.payment.order_id]
        present, told = kept.payment, settled.approved or settled.refund is None
        if present is None or (present.status, present.version) != (settled.before, payment.version - told):
            return False
        if settled.refund is not None:
            if settled.refund != present.refund and present.refund is not None:
                return False
            self._end_refund(kept, settled.refund, settled)
        pending = next((refund for refund in kept.refunds if refund.status is RefundStatus.PENDING), None)
        posting = posting_of(settled, self._balances(payment.order_id))
        self._store(replace(payment, goal=present.goal, refund=pending))
        self._postings += [posting] if posting else []
        if told:
            self.outbox.unsent.append(encode(settled, at_ms))
        return True

    def _end_refund(self, kept: _Kept, refund: Refund, settled: Settled) -> None:
        status = RefundStatus.DONE if settled.approved else RefundStatus.REFUSED
        others = [one for one in kept.refunds if one.key != refund.key]
        kept.refunds = [*others, replace(refund, status=status, refusal=settled.reason)]

    def _balances(self, order_id: OrderId) -> dict[Account, int]:
        mine = [posting.legs for posting in self._postings if posting.order_id == order_id]
        return {account: sum(legs.get(account, 0) for legs in mine) for account in Account}

    async def ask_refund(self, order_id: OrderId, key: str, amount: Money | None, reason: str) -> tuple[Refund, bool]:
        kept = self._kept[order_id]
        if kept.payment is None:
            raise UnknownOrder(order_id)
        before = asked_before(kept.refunds, kept.payment, key, amount)
        if before is not None:
            return before, True
        refund = new_refund(kept.refunds, kept.payment, key, amount, reason)
        kept.refunds.append(refund)
        self._store(replace(kept.payment, refund=kept.payment.refund or refund))
        return refund, False

    async def refunds(self, order_id: OrderId) -> list[Refund]:
        return list(self._kept[order_id].refunds)

    async def note_webhook(self, event_id: str, kind: str, order_id: OrderId) -> bool:
        if event_id in self._webhooks:
            return False
        self._webhooks.add(event_id)
        kept = self._kept[order_id]
        if kept.due_ms is not None:
            kept.due_ms = self.clock.wall_ms()
        return True

    async def postpone(self, order_id: OrderId, for_s: float) -> None:
        kept = self._kept[order_id]
        if kept.due_ms is not None:
            kept.due_ms = self.clock.wall_ms() + 1000 * for_s

    async def overdue(self, older_than_s: float) -> int:
        before_ms = self.clock.wall_ms() - 1000 * older_than_s
        return sum(kept.due_ms is not None and kept.changed_ms < before_ms for kept in self._kept.values())

    async def postings(self, order_id: OrderId) -> list[Posting]:
        return [posting for posting in self._postings if posting.order_id == order_id]

    def _store(self, payment: Payment) -> None:
        kept = self._kept[payment.order_id]
        kept.payment, kept.changed_ms = payment, self.clock.wall_ms()
        kept.due_ms = kept.changed_ms if next_action(payment) is not None else None
