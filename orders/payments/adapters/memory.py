"""The payment book in memory, for tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from node.clock import Clock
from orders.adapters.memory import MemoryOutbox
from orders.messaging.message import Offset
from orders.model import OrderId
from orders.payments.adapters.codec import encode
from orders.payments.instructions import Instruction, obey
from orders.payments.ledger import Posting, posting_of
from orders.payments.model import Payment
from orders.payments.ports import Heard
from orders.payments.transitions import EFFECT, Settled, next_action


@dataclass(slots=True)
class _Kept:
    payment: Payment | None = None
    seen: int = 0
    due_ms: float | None = None
    changed_ms: int = 0
    held: tuple[Instruction, ...] = ()


@dataclass(slots=True)
class MemoryPayments:
    """Payments of one process."""

    clock: Clock
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    _kept: dict[OrderId, _Kept] = field(default_factory=lambda: defaultdict(_Kept))
    _postings: list[Posting] = field(default_factory=list)

    async def get(self, order_id: OrderId) -> Payment | None:
        return self._kept[order_id].payment

    async def absorb(self, instructions: Sequence[Instruction], offsets: Sequence[Offset]) -> Heard:
        heard = Heard()
        for order_id in dict.fromkeys(instruction.order_id for instruction in instructions):
            kept = self._kept[order_id]
            arrived = [instruction for instruction in instructions if instruction.order_id == order_id]
            obeyed = obey(kept.payment, kept.seen, [*kept.held, *arrived])
            kept.seen, kept.held = obeyed.seen, obeyed.hold
            if obeyed.applied and obeyed.payment is not None:
                self._store(obeyed.payment)
                if obeyed.told:
                    self.outbox.unsent.append(encode(obeyed.payment, "", self.clock.domain_ms()))
            elif obeyed.duplicates:
                self.outbox.send_again([order_id])
            heard.applied += obeyed.applied
            heard.duplicates += obeyed.duplicates
            heard.held += len(obeyed.hold)
        self.offsets |= {(offset.topic, offset.partition): offset.next for offset in offsets}
        return heard

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
        payment = settled.payment
        present = self._kept[payment.order_id].payment
        if present is None or (present.status, present.version) != (EFFECT[settled.action][0], payment.version - 1):
            return False
        self._store(replace(payment, goal=present.goal))
        posting = posting_of(settled)
        self._postings += [posting] if posting else []
        self.outbox.unsent.append(encode(payment, settled.reason, at_ms))
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
