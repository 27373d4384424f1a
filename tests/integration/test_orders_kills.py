"""kill -9 of orders and payments while sagas run: every order ends once, the money adds up."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

import grpc.aio
import orjson
import pytest

from deploy.stack.stack import LocalStack
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.orders.v1 import orders_pb2 as pb
from proto.orders.v1.order_event_pb2 import OrderEvent
from proto.payments.v1 import payments_pb2 as payments_pb
from proto.payments.v1.payment_event_pb2 import PaymentEvent
from proto.topics import CITY_EVENTS
from tests.best_broker import best_broker
from tests.integration.orders_dispatch import StutteringDispatch
from tests.integration.orders_world import (
    ORDER_TOPIC,
    PAYMENT_TOPIC,
    OrdersWorld,
    Process,
    basket,
    orders_world,
    until,
)
from tests.shared_log import readable

FINAL = ("COMPLETED", "CANCELLED", "DECLINED", "FAILED")
TOKENS = ("tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_duplicate", "tok_lost", "tok_slow")
#: What a call says whose server was killed.
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
#: Declined, or voided before the provider was asked.
WITHOUT_CHARGE = (("DECLINED", None), ("VOIDED", None))
ORDERS_QUERY = "select order_id, history from orders where order_id = any($1::uuid[])"
PAYMENTS_QUERY = """
select payments.order_id, status, payments.amount_minor,
    coalesce(sum(ledger.amount_minor) filter (where account = 'customer'), 0)::bigint as owed,
    coalesce(sum(ledger.amount_minor) filter (where account = 'authorised'), 0)::bigint as held
from payments left join ledger using (order_id)
where payments.order_id = any($1::uuid[])
group by payments.order_id
"""
PAYMENT_OF = {"COMPLETED": "CAPTURED", "CANCELLED": "VOIDED", "FAILED": "VOIDED", "DECLINED": "DECLINED"}


async def place_surely(world: OrdersWorld, number: int, token: str) -> pb.Order:
    """Places one order, however often the service dies under the call: the key makes the retries safe."""
    request = pb.PlaceRequest(
        user_id=f"customer-{number}", idempotency_key=uuid.uuid4().hex, basket=basket(), payment_token=token
    )
    while True:
        try:
            return (await world.orders.Place(request, timeout=10, wait_for_ready=True)).order
        except grpc.aio.AioRpcError as error:
            if error.code() not in AWAY:
                raise
            await asyncio.sleep(0.05)


async def place_many(
    world: OrdersWorld, dispatch: StutteringDispatch, numbers: Sequence[int], placed: list[pb.Order], random: Random
) -> None:
    """Places orders from eight customers at a time; some of them are cancelled at once."""
    waiting = [(number, random.choice(TOKENS), random.random() < 0.1) for number in numbers]

    async def customer() -> None:
        while waiting:
            number, token, regrets = waiting.pop()
            order = await place_surely(world, number, token)
            placed.append(order)
            await dispatch.adopt(order.order_id)
            if regrets:
                await cancel(world, order.order_id)

    await asyncio.gather(*(customer() for _ in range(8)))


async def cancel(world: OrdersWorld, order_id: str) -> None:
    """Tries to cancel; it may be too late, or the service may die of it."""
    try:
        await world.orders.Cancel(pb.CancelRequest(order_id=order_id), timeout=10, wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        if error.code() not in (*AWAY, grpc.StatusCode.FAILED_PRECONDITION):
            raise


Kill = Callable[[], Awaitable[None]]


def kill_of(process: Process) -> Kill:
    """kill -9 of a service, and its next start."""

    async def kill() -> None:
        await process.kill()
        await process.start()

    return kill


def server_kill_of(stack: LocalStack, name: str) -> Kill:
    """kill -9 of a server of the stack, which restarts it."""

    async def kill() -> None:
        await stack.kill(name)
        await stack.until_healthy(name)

    return kill


async def place_and_kill(
    world: OrdersWorld,
    dispatch: StutteringDispatch,
    kills: Sequence[Kill],
    orders: int,
    random: Random,
) -> list[pb.Order]:
    """Before each kill its share of the orders begins to be placed; it comes at a random moment of their sagas."""
    placed: list[pb.Order] = []
    for number, kill in enumerate(kills):
        before = len(placed)
        share = range(orders * number // len(kills), orders * (number + 1) // len(kills))
        placing = asyncio.create_task(place_many(world, dispatch, share, placed, random))
        try:
            while len(placed) == before and not placing.done():  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
            await asyncio.sleep(random.uniform(0, 0.3))
            assert await open_orders(world) > 0, f"kill {number} hits no saga"
            await kill()
            await placing
        finally:
            placing.cancel()
    return placed


async def rows_of(world: OrdersWorld, query: str, *args: object) -> list[tuple[object, ...]]:
    """Rows of both order databases."""
    return [tuple(row) for name in ("orders_0", "orders_1") for row in await world.fetch(name, query, *args)]


async def open_orders(world: OrdersWorld) -> int:
    """How many orders are still open."""
    rows = await rows_of(world, "select count(*) from orders where status not in " + str(FINAL))
    return sum(int(str(row[0])) for row in rows)


async def unsettled(world: OrdersWorld) -> int:
    """How many payments still have something to do."""
    (row,) = await world.fetch("payments", "select count(*) from payments where due_at is not null")
    return int(row["count"])


async def unsent(world: OrdersWorld) -> int:
    """How many messages still wait in the outboxes."""
    query = "select count(*) from outbox where sent_at is null"
    rows = [*await rows_of(world, query), *[tuple(row) for row in await world.fetch("payments", query)]]
    return sum(int(str(row[0])) for row in rows)


async def check_each_order(world: OrdersWorld, placed: Sequence[pb.Order]) -> Counter[str]:
    """Each order ended once, and its money is where its end says. A hundred of them are asked of the services, too."""
    ids, totals = [order.order_id for order in placed], {order.order_id: order.price.total.minor for order in placed}
    histories = {str(row[0]): orjson.loads(str(row[1])) for row in await rows_of(world, ORDERS_QUERY, ids)}
    payments = await world.fetch("payments", PAYMENTS_QUERY, ids)
    assert (len(histories), len(payments)) == (len(placed), len(placed))
    ends: Counter[str] = Counter()
    for row in payments:
        order_id, status = str(row["order_id"]), row["status"]
        names = [line["status"] for line in histories[order_id]]
        assert [name for name in names if name in FINAL] == names[-1:], names
        ends[names[-1]] += 1
        # A declined payment of an order that was cancelled meanwhile stays declined.
        assert status == PAYMENT_OF[names[-1]] or (names[-1], status) == ("CANCELLED", "DECLINED"), (names, status)
        assert row["amount_minor"] == totals[order_id]
        assert row["owed"] == (totals[order_id] if status == "CAPTURED" else 0), (order_id, status)
        assert row["held"] == 0, order_id
    for order in placed[:100]:
        last = await world.order(order.order_id)
        assert pb.OrderStatus.Name(last.status)[13:] == histories[order.order_id][-1]["status"]
        await world.payments.Get(payments_pb.GetRequest(order_id=order.order_id))
    return ends


async def check_the_books(world: OrdersWorld, placed: Sequence[pb.Order]) -> None:
    """The ledger sums to zero, the provider's books say the same, nobody was charged twice."""
    (total,) = await world.fetch("payments", "select coalesce(sum(amount_minor), 0) as minor from ledger")
    assert total["minor"] == 0
    # Other tests' orders may be in the shared topics: they are left alone, but no charge may belong to no payment.
    strangers = "select from local_provider.charges left join payments using (provider_ref) where order_id is null"
    assert await world.fetch("payments", strangers) == []
    query = "select status, state from payments left join local_provider.charges using (provider_ref)"
    pairs = await world.fetch("payments", f"{query} where order_id = any($1)", [order.order_id for order in placed])
    assert len(pairs) == len(placed)
    assert {tuple(pair) for pair in pairs} <= {("CAPTURED", "CAPTURED"), ("VOIDED", "VOIDED"), *WITHOUT_CHARGE}
    rows = await rows_of(world, "select count(*) from orders")
    assert sum(int(str(row[0])) for row in rows) == len(placed)


async def check_no_event_is_lost(world: OrdersWorld) -> None:
    """Whatever an outbox holds is in its topic."""
    in_topics = {OrderEvent.FromString(payload).event_id for payload in await world.messages(ORDER_TOPIC)}
    in_topics |= {PaymentEvent.FromString(payload).event_id for payload in await world.messages(PAYMENT_TOPIC)}
    in_topics |= {event.event_id for event in readable(CityEvent, await world.messages(CITY_EVENTS.name))}
    query = "select event_id from outbox"
    rows = [*await rows_of(world, query), *[tuple(row) for row in await world.fetch("payments", query)]]
    assert {str(row[0]) for row in rows} <= in_topics


async def check_everything(world: OrdersWorld, placed: Sequence[pb.Order]) -> Counter[str]:
    """Waits until all is settled, then checks orders, money and events; returns how the orders ended."""
    await until(lambda: open_orders(world), lambda open_: open_ == 0, "every order is final")
    await until(lambda: unsettled(world), lambda due: due == 0, "every payment is where it should be")
    await until(lambda: unsent(world), lambda waiting: waiting == 0, "every event is told")
    ends = await check_each_order(world, placed)
    await check_the_books(world, placed)
    await check_no_event_is_lost(world)
    return ends


async def run_and_check(world: OrdersWorld, kills: Sequence[Kill], *, orders: int, times: int, seed: int) -> None:
    """Orders are placed while things are killed, each kill so many times; then everything is checked."""
    random = Random(seed)
    dispatch = StutteringDispatch(world, seed)

    async def drive() -> Counter[str]:
        every = [kill for kill in kills for _ in range(times)]
        random.shuffle(every)
        return await check_everything(world, await place_and_kill(world, dispatch, every, orders, random))

    playing, driving = asyncio.create_task(dispatch.run()), asyncio.create_task(drive())
    try:
        await asyncio.wait((playing, driving), return_when=asyncio.FIRST_COMPLETED)
        assert not playing.done(), playing.exception()
        ends = driving.result()
    finally:
        playing.cancel()
        driving.cancel()
        await asyncio.gather(playing, driving, return_exceptions=True)
    assert ends["COMPLETED"] > 0
    assert ends["DECLINED"] > 0


async def test_every_saga_ends_once_though_both_services_are_killed(stack: LocalStack, tmp_path: Path) -> None:
    """60 orders, two kill -9 of each service at random moments, a provider and a dispatch that repeat themselves."""
    async with orders_world(stack, tmp_path) as world:
        kills = (kill_of(world.orders_process), kill_of(world.payments_process))
        await run_and_check(world, kills, orders=60, times=2, seed=11)


async def test_a_saga_goes_on_from_any_step(stack: LocalStack, tmp_path: Path) -> None:
    """Orders in every status, calls to the provider under way: both services are killed at once, all end well."""
    async with orders_world(stack, tmp_path) as world:
        steps = ("assigned", "picked_up", "delivered")
        placed = [await world.place(token="tok_slow" if number > 3 else "tok_ok") for number in range(6)]
        for order in placed[:4]:
            await world.until_status(order.order_id, "ACCEPTED")
        for number, order in enumerate(placed[:4]):
            await world.tell(*(world.next_event(order.order_id, step, rider_id=7) for step in steps[:number]))
        await asyncio.gather(world.orders_process.kill(), world.payments_process.kill())
        await asyncio.gather(world.orders_process.start(), world.payments_process.start())
        for number, order in enumerate(placed):
            done = min(number, 3) if number < 4 else 0
            if number > 3:
                await world.until_status(order.order_id, "ACCEPTED")
            await world.tell(*(world.next_event(order.order_id, step, rider_id=7) for step in steps[done:]))
        ends = await check_everything(world, placed)
        assert ends == {"COMPLETED": len(placed)}


async def test_a_broker_that_loses_its_log_is_told_again(own_folder: Path, tmp_path: Path) -> None:
    """The embedded broker forgets all when it dies: sagas under way go on in its new log, and no step is done twice."""
    async with LocalStack(own_folder, kafka="embedded") as stack, orders_world(stack, tmp_path) as world:
        before = await world.place()
        await world.until_status(before.order_id, "ACCEPTED")
        await stack.kill("kafka")
        during = await world.place()
        await stack.until_healthy("kafka")
        for order in (before, during):
            await world.until_status(order.order_id, "ACCEPTED")
            await until(partial(world.city_events, order.order_id), bool, "dispatch hears of the order")
            await world.deliver(order.order_id)
            await world.until_status(order.order_id, "COMPLETED")
        await check_each_order(world, [before, during])
        await check_the_books(world, [before, during])


@pytest.mark.prove
@pytest.mark.timeout(1500)
async def test_ten_thousand_sagas_end_once_whatever_is_killed(
    own_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """10,000 orders, twenty kills each of orders, payments, Postgres and Kafka, a provider that loses and repeats."""
    broker, why = best_broker()
    with capsys.disabled():
        print(f"\n10,000 sagas on the {broker} broker: {why}")
    async with LocalStack(own_folder, kafka=broker) as stack, orders_world(stack, tmp_path) as world:
        kills = (
            kill_of(world.orders_process),
            kill_of(world.payments_process),
            server_kill_of(stack, "postgres"),
            server_kill_of(stack, "kafka"),
        )
        await run_and_check(world, kills, orders=10_000, times=20, seed=2)
