"""The payment book in Postgres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from node.clock import Clock
from node.postgres import Schema
from orders.messaging import postgres as messaging
from orders.messaging.message import Offset
from orders.messaging.postgres import Held, PostgresOutbox, retryable
from orders.messaging.statements import statements
from orders.model import OrderId
from orders.payments.adapters.codec import decode, encode
from orders.payments.instructions import Instruction, Obeyed, obey
from orders.payments.ledger import Account, Posting, posting_of
from orders.payments.model import Goal, Money, Payment, PaymentStatus
from orders.payments.ports import Heard
from orders.payments.transitions import EFFECT, Settled, next_action

#: What the database of payments is made of, in this order.
SCHEMAS = (messaging.SCHEMA, Schema("payments", Path(__file__).parent.parent / "migrations"))
SQL = statements(Path(__file__).parent.parent / "sql")

_SOURCE = "orders"


class PostgresPayments:
    """Payments of one database. `wrote` is called after a commit that left something in the outbox."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, wrote: Callable[[], None]) -> None:
        self._pool = pool
        self._clock = clock
        self._wrote = wrote
        self.outbox = PostgresOutbox(pool)

    async def get(self, order_id: OrderId) -> Payment | None:
        with retryable():
            row = await self._pool.fetchrow(SQL.get, order_id)
        return _payment(row) if row else None

    async def absorb(self, instructions: Sequence[Instruction], offsets: Sequence[Offset]) -> Heard:
        heard = Heard()
        with retryable():
            async with self._pool.acquire() as connection, connection.transaction():
                if instructions:
                    heard = await self._obey(connection, instructions)
                await messaging.save_offsets(connection, offsets)
        if heard.applied or heard.duplicates:
            self._wrote()
        return heard

    async def _obey(self, connection: asyncpg.Connection, instructions: Sequence[Instruction]) -> Heard:
        orders = {instruction.order_id for instruction in instructions}
        rows = await connection.fetch(SQL.lock, list(orders))
        known = {OrderId(str(row["order_id"])): _payment(row) for row in rows}
        seen: dict[OrderId, int] = {OrderId(str(row["order_id"])): row["order_seen"] for row in rows}
        events: dict[OrderId, list[Instruction]] = defaultdict(list)
        held = await messaging.held(connection, orders)
        for kept in held:
            events[kept.order_id].append(decode(kept.payload))
        for instruction in instructions:
            events[instruction.order_id].append(instruction)
        obeyed = {
            order_id: obey(known.get(order_id), seen.get(order_id, 0), batch) for order_id, batch in events.items()
        }
        await self._write(connection, [one for one in obeyed.values() if one.applied])
        await messaging.hold(
            connection,
            [Held(_SOURCE, event.order_id, event.version, event.raw) for one in obeyed.values() for event in one.hold],
        )
        await messaging.release(connection, [(_SOURCE, kept.order_id, obeyed[kept.order_id].seen) for kept in held])
        again = [order_id for order_id, one in obeyed.items() if one.duplicates and not one.applied]
        if again:
            await connection.execute(messaging.SQL.send_again, again)
        return _counted(obeyed.values())

    async def _write(self, connection: asyncpg.Connection, obeyed: Sequence[Obeyed]) -> None:
        rows = [_row(one.payment, one.seen) for one in obeyed if one.payment is not None]
        if rows:
            await connection.executemany(SQL.upsert, rows)
        now_ms = self._clock.domain_ms()
        told = [one.payment for one in obeyed if one.told and one.payment is not None]
        await messaging.add(connection, [encode(payment, "", now_ms) for payment in told])

    async def claim(self, limit: int, for_s: float) -> list[Payment]:
        with retryable():
            return [_payment(row) for row in await self._pool.fetch(SQL.claim, limit, for_s)]

    async def settle(self, settled: Settled, at_ms: int) -> bool:
        payment, posting = settled.payment, posting_of(settled)
        message = encode(payment, settled.reason, at_ms)
        posted = (posting.key, posting.debit, posting.credit) if posting else ("", "", "")
        with retryable():
            moved = await self._pool.fetchval(
                SQL.settle,
                payment.order_id,
                EFFECT[settled.action][0],
                payment.status,
                payment.version,
                payment.provider_ref,
                payment.goal,
                next_action(payment) is not None,
                *posted,
                payment.amount.minor,
                payment.amount.currency,
                message.event_id,
                message.topic,
                message.payload,
            )
        if moved:
            self._wrote()
        return bool(moved)

    async def postpone(self, order_id: OrderId, for_s: float) -> None:
        with retryable():
            await self._pool.execute(SQL.postpone, order_id, for_s)

    async def overdue(self, older_than_s: float) -> int:
        with retryable():
            count: int = await self._pool.fetchval(SQL.overdue, older_than_s)
        return count

    async def postings(self, order_id: OrderId) -> list[Posting]:
        with retryable():
            rows = await self._pool.fetch(SQL.postings, order_id)
        return [
            Posting(
                row["key"],
                order_id,
                Account(row["debit"]),
                Account(row["credit"]),
                Money(row["amount_minor"], row["currency"]),
            )
            for row in rows
        ]


def _counted(obeyed: Iterable[Obeyed]) -> Heard:
    heard = Heard()
    for one in obeyed:
        heard.applied += one.applied
        heard.duplicates += one.duplicates
        heard.held += len(one.hold)
    return heard


def _payment(row: Mapping[str, Any]) -> Payment:
    return Payment(
        OrderId(str(row["order_id"])),
        Money(row["amount_minor"], row["currency"]),
        row["token"],
        PaymentStatus(row["status"]),
        Goal(row["goal"]),
        row["provider_ref"],
        row["version"],
        row["attempts"],
    )


def _row(payment: Payment, seen: int) -> tuple[object, ...]:
    return (
        payment.order_id,
        payment.status,
        payment.goal,
        payment.amount.minor,
        payment.amount.currency,
        payment.token,
        payment.provider_ref,
        payment.version,
        seen,
        payment.attempts,
        next_action(payment) is not None,
    )
