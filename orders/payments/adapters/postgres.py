"""Payments in Postgres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from node import set_aside
from node.clock import Clock
from node.outbox import postgres as outbox
from node.postgres import Schema, session, statements
from orders.errors import UnknownOrder
from orders.messaging import postgres as messaging
from orders.messaging.message import Offset
from orders.messaging.postgres import HeldEvent, delete_in_batches, forget_sent
from orders.model import OrderId
from orders.money import Parts
from orders.payments.adapters.codec import decode, encode, encode_void
from orders.payments.instructions import Instruction, InstructionOutcome, apply_instructions
from orders.payments.ledger import Account, Balances, Posting, posting_of
from orders.payments.model import Action, Goal, Money, Payment, PaymentStatus, Refund, RefundStatus
from orders.payments.ports import InstructionCounts
from orders.payments.refunds import asked_before, new_refund
from orders.payments.transitions import CANCELLED, Settled, goals_with_action, next_action

#: What the database of payments is made of, in this order.
SCHEMAS = (messaging.SCHEMA, Schema("payments", Path(__file__).parent.parent / "migrations"), set_aside.SCHEMA)
SQL = statements(__file__)

_SOURCE = "orders"

#: A customer who has to authenticate needs some seconds: the first look at whether it is done (wall seconds).
CUSTOMER_FIRST_S = 2.0
#: Stripe sends an event again for three days.
KEEP_EVENTS_DAYS = 30


class PostgresPayments:
    """Payments of one database. `wrote` is called after a commit that left something in the outbox."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, wrote: Callable[[], None]) -> None:
        self._pool = pool
        self._clock = clock
        self._wrote = wrote

    async def get(self, order_id: OrderId) -> Payment | None:
        async with session(self._pool) as connection:
            row = await connection.fetchrow(SQL.get, order_id)
        return _payment(row) if row else None

    async def receive(self, instructions: Sequence[Instruction], offsets: Sequence[Offset]) -> InstructionCounts:
        counts = InstructionCounts()
        async with session(self._pool) as connection, connection.transaction():
            if instructions:
                counts = await self._apply(connection, instructions)
            await messaging.save_offsets(connection, offsets)
        if counts.applied or counts.duplicates:
            self._wrote()
        return counts

    async def _apply(self, connection: asyncpg.Connection, instructions: Sequence[Instruction]) -> InstructionCounts:
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
        outcomes = {
            order_id: apply_instructions(known.get(order_id), seen.get(order_id, 0), batch)
            for order_id, batch in events.items()
        }
        await self._write(connection, [one for one in outcomes.values() if one.applied])
        hold = [event for one in outcomes.values() for event in one.hold]
        await messaging.hold(
            connection, [HeldEvent(_SOURCE, event.order_id, event.version, event.raw) for event in hold]
        )
        await messaging.release(connection, [(_SOURCE, kept.order_id, outcomes[kept.order_id].seen) for kept in held])
        again = [order_id for order_id, one in outcomes.items() if one.duplicates and not one.applied]
        await outbox.send_again(connection, again)
        return _counted(outcomes.values())

    async def _write(self, connection: asyncpg.Connection, outcomes: Sequence[InstructionOutcome]) -> None:
        rows = [_row(one.payment, one.seen) for one in outcomes if one.payment is not None]
        if rows:
            await connection.executemany(SQL.upsert, rows)
        now_ms = self._clock.domain_ms()
        told = [one.payment for one in outcomes if one.told and one.payment is not None]
        await outbox.add(connection, [encode_void(payment, now_ms) for payment in told])

    async def claim(self, limit: int, for_s: float) -> list[Payment]:
        async with session(self._pool) as connection:
            return [_payment(row) for row in await connection.fetch(SQL.claim, limit, for_s)]

    async def settle(self, settled: Settled, at_ms: int) -> bool:
        if settled.refund is not None:
            return await self._settle_refund(settled, settled.refund, at_ms)
        payment, posting = settled.payment, posting_of(settled, {})
        message, action = encode(settled, at_ms), next_action(payment)
        legs: Balances = posting.legs if posting else {}
        async with session(self._pool) as connection:
            moved = await connection.fetchval(
                SQL.settle,
                payment.order_id,
                settled.before,
                payment.status,
                payment.version,
                payment.provider_ref,
                payment.goal,
                action is not None,
                CUSTOMER_FIRST_S if action is Action.CHECK else 0.0,
                posting.key if posting else "",
                list(legs.keys()),
                list(legs.values()),
                payment.amount.currency,
                message.event_id,
                message.topic,
                message.payload,
                goals_with_action(payment.status),
            )
        if moved:
            self._wrote()
        return bool(moved)

    async def _settle_refund(self, settled: Settled, refund: Refund, at_ms: int) -> bool:
        """Refunds are rare: a transaction of some statements, under the lock of the payment's row."""
        payment, order_id = settled.payment, settled.payment.order_id
        async with session(self._pool) as connection, connection.transaction():
            present = _payment((await connection.fetch(SQL.lock, [order_id]))[0])
            version = payment.version - settled.approved
            if (present.status, present.version) != (settled.before, version) or _answered(present, refund):
                return False
            await connection.execute(
                SQL.end_refund, order_id, refund.key, refund.minor, refund.reason,
                RefundStatus.DONE if settled.approved else RefundStatus.REFUSED, settled.reason,
            )  # fmt: skip
            posting = posting_of(settled, await _balances(connection, order_id))
            if posting is not None:
                legs = posting.legs
                await connection.execute(
                    SQL.post, posting.key, order_id, list(legs.keys()), list(legs.values()), posting.currency
                )
                await outbox.add(connection, [encode(settled, at_ms)])
            await connection.execute(
                SQL.settle_refund, order_id, payment.status, payment.version, payment.refunded_minor, refund.key
            )
        self._wrote()
        return True

    async def ask_refund(self, order_id: OrderId, key: str, amount: Money | None, reason: str) -> tuple[Refund, bool]:
        async with session(self._pool) as connection, connection.transaction():
            rows = await connection.fetch(SQL.lock, [order_id])
            if not rows:
                raise UnknownOrder(order_id)
            payment = _payment(rows[0])
            known = [_refund(row) for row in await connection.fetch(SQL.refunds, order_id)]
            before = asked_before(known, payment, key, amount)
            if before is not None:
                return before, True
            refund = new_refund(known, payment, key, amount, reason)
            await connection.execute(SQL.add_refund, order_id, key, refund.minor, reason)
        return refund, False

    async def refunds(self, order_id: OrderId) -> list[Refund]:
        async with session(self._pool) as connection:
            return [_refund(row) for row in await connection.fetch(SQL.refunds, order_id)]

    async def note_webhook(self, event_id: str, kind: str, order_id: OrderId) -> bool:
        async with session(self._pool) as connection:
            return bool(await connection.fetchval(SQL.hear, event_id, kind, order_id))

    async def forget(self) -> None:
        """Drops what was told more than a day ago, and webhooks that nobody will send again."""
        await forget_sent(self._pool)
        await delete_in_batches(self._pool, SQL.forget_events, KEEP_EVENTS_DAYS)

    async def postpone(self, order_id: OrderId, for_s: float) -> None:
        async with session(self._pool) as connection:
            await connection.execute(SQL.postpone, order_id, for_s)

    async def overdue(self, older_than_s: float) -> int:
        async with session(self._pool) as connection:
            count: int = await connection.fetchval(SQL.overdue, older_than_s)
        return count

    async def postings(self, order_id: OrderId) -> list[Posting]:
        async with session(self._pool) as connection:
            rows = await connection.fetch(SQL.postings, order_id)
        return [
            Posting(
                row["key"],
                order_id,
                row["currency"],
                {Account(name): minor for name, minor in orjson.loads(row["legs"]).items()},
            )
            for row in rows
        ]


def _answered(present: Payment, refund: Refund) -> bool:
    """Whether the refund is no longer the one to be made."""
    return refund.key != CANCELLED and (present.refund is None or present.refund.key != refund.key)


async def _balances(connection: asyncpg.Connection, order_id: OrderId) -> Balances:
    return {Account(row["account"]): row["minor"] for row in await connection.fetch(SQL.balances, order_id)}


def _refund(row: Mapping[str, Any]) -> Refund:
    return Refund(row["key"], row["amount_minor"], row["reason"], RefundStatus(row["status"]), row["refusal"])


def _counted(outcomes: Iterable[InstructionOutcome]) -> InstructionCounts:
    counts = InstructionCounts()
    for one in outcomes:
        counts.applied += one.applied
        counts.duplicates += one.duplicates
        counts.held += len(one.hold)
    return counts


def _payment(row: Mapping[str, Any]) -> Payment:
    return Payment(
        OrderId(str(row["order_id"])),
        Money(row["amount_minor"], row["currency"]),
        row["token"],
        Parts(row["food_minor"], row["delivery_minor"], row["tip_minor"], row["tax_minor"]),
        PaymentStatus(row["status"]),
        Goal(row["goal"]),
        row["provider_ref"],
        row["version"],
        row["attempts"],
        row["refunded_minor"],
        _refund(orjson.loads(row["refund"])) if row["refund"] else None,
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
        *astuple(payment.parts),
    )
