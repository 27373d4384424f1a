"""kill -9 at every step of a saga, just before its commit and just after it: each order ends as it should, once.

A trigger on the table that the step writes waits for a lock that the test holds. When the service waits there it is
killed; then its transaction is ended (the step never happened) or, where it is a single statement, let go (it happened,
and nobody knows).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg
import grpc.aio
import pytest

from deploy.stack.stack import LocalStack
from proto.common.v1.types_pb2 import Money
from proto.orders.v1 import orders_pb2 as pb
from proto.payments.v1 import payments_pb2 as payments_pb
from tests.integration.orders_world import OrdersWorld, basket, orders_world, until
from tests.integration.test_orders_kills import AWAY

T = TypeVar("T")

_LOCK = 4242

ORDERS, PAYMENTS = ("orders_0", "orders_1"), ("payments",)


@dataclass(frozen=True)
class Step:
    """A write of a service: where, and on which rows."""

    name: str
    databases: tuple[str, ...]
    table: str
    operation: str
    when: str
    life: str = "deliver"
    #: One statement, which the database commits by itself even when nobody waits for it any more.
    alone: bool = False


def _told(databases: tuple[str, ...], version: str, life: str = "deliver") -> Step:
    when = f"new.sent_at is not null and new.event_id like '%{version}'"
    return Step(f"event {version} is in Kafka, not yet marked as sent", databases, "outbox", "update", when, life)


def _becomes(
    databases: tuple[str, ...], table: str, column: str, value: str, life: str = "deliver", *, alone: bool = False
) -> Step:
    when = f"new.{column} = '{value}' and old.{column} <> '{value}'"
    return Step(f"{table}.{column} becomes {value}", databases, table, "update", when, life, alone)


_CHARGES = "local_provider.charges"
STEPS = (
    Step("the order is placed", ORDERS, "orders", "insert", "true", alone=True),
    _told(ORDERS, "-1"),
    _becomes(ORDERS, "orders", "status", "ACCEPTED"),
    _told(ORDERS, "-opened"),
    _becomes(ORDERS, "orders", "status", "DELIVERED"),
    _told(ORDERS, "-3"),
    _becomes(ORDERS, "orders", "status", "COMPLETED"),
    _told(ORDERS, "-4"),
    Step("the payment is known", PAYMENTS, "payments", "insert", "true"),
    Step("the payment is claimed", PAYMENTS, "payments", "update", "new.attempts > old.attempts", alone=True),
    Step("the provider holds the money", PAYMENTS, _CHARGES, "insert", "true", alone=True),
    _becomes(PAYMENTS, "payments", "status", "AUTHORISED", alone=True),
    _told(PAYMENTS, "-payment-1"),
    _becomes(PAYMENTS, "payments", "goal", "CAPTURED"),
    _becomes(PAYMENTS, _CHARGES, "state", "CAPTURED", alone=True),
    _becomes(PAYMENTS, "payments", "status", "CAPTURED", alone=True),
    _told(PAYMENTS, "-payment-2"),
    _becomes(ORDERS, "orders", "status", "CANCELLED", "cancel"),
    _told(ORDERS, "-withdrawn", "cancel"),
    _becomes(PAYMENTS, "payments", "goal", "CANCELLED", "cancel"),
    _becomes(PAYMENTS, _CHARGES, "state", "VOIDED", "cancel", alone=True),
    _becomes(PAYMENTS, "payments", "status", "VOIDED", "cancel", alone=True),
    _becomes(ORDERS, "orders", "status", "FAILED", "fail"),
    _becomes(PAYMENTS, "payments", "status", "DECLINED", "decline", alone=True),
    _becomes(ORDERS, "orders", "status", "DECLINED", "decline"),
    _becomes(PAYMENTS, "payments", "status", "ACTION_REQUIRED", "authenticate", alone=True),
    _becomes(PAYMENTS, _CHARGES, "state", "HELD", "authenticate", alone=True),
    _becomes(ORDERS, "orders", "status", "ASSIGNED", "ride"),
    _becomes(ORDERS, "orders", "status", "PICKED_UP", "ride"),
    Step("a refund is asked for", PAYMENTS, "refunds", "insert", "new.status = 'PENDING'", "refund"),
    _becomes(PAYMENTS, _CHARGES, "refunded_minor", "5000", "refund", alone=True),
    Step("a refund is posted", PAYMENTS, "ledger", "insert", "new.key like '%:refund:%'", "refund"),
    _told(PAYMENTS, "-payment-3", "refund"),
)


async def surely(call: Callable[[], Awaitable[T]]) -> T:
    """A call that is made again while the service is dead."""
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in AWAY:
                raise
            await asyncio.sleep(0.05)


async def status_of(world: OrdersWorld, order_id: str, *wanted: str) -> pb.Order:
    """The order, once it has one of these statuses, whoever dies meanwhile."""
    numbers = [pb.OrderStatus.Value(f"ORDER_STATUS_{name}") for name in wanted]
    return await until(
        lambda: surely(lambda: world.order(order_id)), lambda order: order.status in numbers, f"order is {wanted}"
    )


async def live(world: OrdersWorld, life: str) -> pb.Order:
    """An order from its placing to its end, by a customer who tries again."""
    request = pb.PlaceRequest(
        user_id=f"customer-{uuid.uuid4().hex}",
        idempotency_key=uuid.uuid4().hex,
        basket=basket(),
        payment_token={"decline": "tok_declined", "authenticate": "tok_sca"}.get(life, "tok_ok"),
    )
    order = (await surely(lambda: world.orders.Place(request, timeout=20, wait_for_ready=True))).order
    if life == "decline":
        return await status_of(world, order.order_id, "DECLINED")
    await status_of(world, order.order_id, "ACCEPTED")
    if life == "fail":
        await world.tell(world.next_event(order.order_id, "failed", reason="no_riders"))
        return await status_of(world, order.order_id, "FAILED")
    if life == "cancel":
        cancel = pb.CancelRequest(order_id=order.order_id)
        return (await surely(lambda: world.orders.Cancel(cancel, timeout=20, wait_for_ready=True))).order
    for step in ("assigned", "picked_up") if life == "ride" else ():
        await world.tell(world.next_event(order.order_id, step, rider_id=7))
        await status_of(world, order.order_id, step.upper())
    if life == "ride":
        await world.tell(world.next_event(order.order_id, "delivered", rider_id=7))
    else:
        await world.deliver(order.order_id)
    done = await status_of(world, order.order_id, "COMPLETED")
    if life == "refund":
        wanted = payments_pb.RefundRequest(
            order_id=order.order_id, idempotency_key="half-of-it", amount=Money(minor=5000, currency="CLP")
        )
        await surely(lambda: world.payments.Refund(wanted, timeout=20, wait_for_ready=True))
    return done


@asynccontextmanager
async def stopped_at(world: OrdersWorld, step: Step) -> AsyncIterator[list[asyncpg.Connection]]:
    """Whoever takes the step waits; until the end. Gives a connection to each database that holds the lock."""
    async with AsyncExitStack() as ends:
        holders = []
        for name in step.databases:
            holder = await asyncpg.connect(world.databases[name])
            ends.push_async_callback(holder.close)
            await holder.execute(
                f"create or replace function halt() returns trigger language plpgsql as $$"
                f" begin perform pg_advisory_xact_lock_shared({_LOCK}); return new; end $$;"
                f" create trigger halt before {step.operation} on {step.table}"
                f" for each row when ({step.when}) execute function halt()"
            )
            await holder.execute(f"select pg_advisory_lock({_LOCK})")
            holders.append(holder)
        yield holders
        for holder in holders:
            await holder.execute(f"select pg_advisory_unlock({_LOCK}); drop trigger halt on {step.table}")


_WAITING = f"""
select pid from pg_locks where locktype = 'advisory' and not granted and objid = {_LOCK}
and database = (select oid from pg_database where datname = current_database())
"""


async def waiting(holders: list[asyncpg.Connection]) -> list[tuple[asyncpg.Connection, int]]:
    """The sessions that wait at the step."""
    return [(holder, row["pid"]) for holder in holders for row in await holder.fetch(_WAITING)]


async def killed_at(world: OrdersWorld, step: Step, *, committed: bool) -> pb.Order:
    """A life in which the service that takes the step is killed there, once."""
    process = world.orders_process if step.databases == ORDERS else world.payments_process
    async with stopped_at(world, step) as holders:
        living = asyncio.create_task(live(world, step.life))
        found = await until(lambda: waiting(holders), bool, f"somebody is at the step: {step.name}")
        await process.kill()
        if not committed:
            for holder, pid in found:
                await holder.execute("select pg_terminate_backend($1)", pid)
    await process.start()
    return await living


ENDS = {
    **dict.fromkeys(("deliver", "authenticate", "ride"), ("COMPLETED", "CAPTURED", 0)),
    "refund": ("COMPLETED", "CAPTURED", 5000),
    "cancel": ("CANCELLED", "VOIDED", 0),
    "fail": ("FAILED", "VOIDED", 0),
    "decline": ("DECLINED", "DECLINED", 0),
}


async def check(world: OrdersWorld, order: pb.Order, life: str) -> None:
    """Order, payment, provider and ledger agree, and everything happened once."""
    end, paid, refunded = ENDS[life]
    query = "select status, refunded_minor, provider_ref, due_at is null as settled from payments where order_id = $1"

    async def payment() -> tuple[object, ...]:
        rows = await world.fetch("payments", query, order.order_id)
        return (rows[0]["status"], rows[0]["refunded_minor"], rows[0]["settled"]) if rows else ()

    await until(payment, lambda found: found == (paid, refunded, True), f"the payment is {paid}")
    last = await status_of(world, order.order_id, end)
    names = [pb.OrderStatus.Name(line.status)[13:] for line in last.history]
    assert names.count(end) == 1, names
    assert len(names) == len(set(names)), names
    charges = await world.fetch(
        "payments",
        "select state, amount_minor, refunded_minor from local_provider.charges"
        " where provider_ref in (select provider_ref from local_provider.answers where key like $1)",
        f"{order.order_id}:%",
    )
    state = {"CAPTURED": ["CAPTURED"], "VOIDED": ["VOIDED"], "DECLINED": []}[paid]
    assert [row["state"] for row in charges] == state
    assert [row["refunded_minor"] for row in charges] == ([refunded] if charges else [])
    rows = await world.fetch(
        "payments",
        "select coalesce(sum(amount_minor) filter (where account = 'customer'), 0)::bigint as owed,"
        " coalesce(sum(amount_minor), 0)::bigint as total from ledger where order_id = $1",
        order.order_id,
    )
    assert (rows[0]["owed"], rows[0]["total"]) == ((order.price.total.minor - refunded) * (paid == "CAPTURED"), 0)


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_a_saga_survives_a_kill_at_every_step(stack: LocalStack, tmp_path: Path) -> None:
    """33 steps, killed before their commit, and after it where that may be; compensations and a refund among them."""
    async with orders_world(stack, tmp_path) as world:
        for step in STEPS:
            for committed in (False, True)[: 1 + step.alone]:
                order = await killed_at(world, step, committed=committed)
                await check(world, order, step.life)
