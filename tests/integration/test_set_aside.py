"""Messages that cannot be read, stored or sent are set aside; their city, their relay and their process go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.stack.stack import LocalStack
from dispatch.borders.adapters.loans import KafkaBorderLogs
from dispatch.engine.inputs import RiderArrived
from dispatch.engine.model import Loan, LoanState, RiderId
from dispatch.metrics import FIXES_NOT_FORWARDED
from dispatch.shard.adapters.postgres import prepare
from node import kafka, postgres, set_aside
from node.clock import SystemClock
from node.kafka import Outgoing, send_all
from proto.common.v1.types_pb2 import Money
from proto.dispatch.v1 import city_event_pb2 as city_pb
from proto.orders.v1 import order_event_pb2 as order_pb
from proto.topics import CITY_EVENTS, ORDER_EVENTS, RIDER_PINGS
from proto.tracking.v1 import rider_link_pb2 as link
from tests.integration.dispatch_world import DispatchWorld, dispatch_world, place
from tests.integration.orders_world import OrdersWorld, orders_world, until
from tests.integration.test_dispatch import deliver
from tests.integration.verbs import forno_here
from tests.unit.dispatch.shard.worlds import fixes

#: Exit code, standard output and standard error of `forno log poison`.
Poison = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def poison(capsys: pytest.CaptureFixture[str]) -> Poison:
    """The command, on the databases of a world."""

    def run(world: DispatchWorld | OrdersWorld, *words: str) -> Awaitable[tuple[int, str, str]]:
        env = world.env if isinstance(world, DispatchWorld) else world.payments_process.env
        return forno_here(capsys, "log", "poison", *words, env=env)

    return run


async def listed(poison: Poison, world: DispatchWorld, city: str) -> list[dict[str, Any]]:
    """What the shard of the city set aside, oldest first."""
    code, printed, said = await poison(world, "list", "--json")
    assert code == 0, said
    found = [row for row in json.loads(printed) if row["reader"] == f"dispatch of {city}"]
    return sorted(found, key=lambda row: (row["topic"], row["offset"]))


async def until_listed(poison: Poison, world: DispatchWorld, city: str, count: int) -> list[dict[str, Any]]:
    """The same, once there are so many."""
    async with asyncio.timeout(60):
        while len(rows := await listed(poison, world, city)) < count:
            pass
    return rows


def opened(world: DispatchWorld, **fields: Any) -> city_pb.OrderOpened:
    """An order with something wrong."""
    now_ms = world.clock.domain_ms()
    good = {"order_id": world.order(90), "pickup": place(0, 0), "dropoff": place(10, 0), "placed_ms": now_ms}
    return city_pb.OrderOpened(**{**good, "ready_ms": now_ms, "promised_ms": now_ms + 1_000_000, **fields})


async def send_bad(world: DispatchWorld, city: str) -> list[str]:
    """Every kind of message that no city can take; what is to be said of each, in the order of the log."""
    far = 2**63 - 1
    await world.event(city, order_opened=opened(world, order_id="a\0b"))
    await world.event(city, order_opened=opened(world, order_id="x" * 1_000_000))
    await world.event(city, order_opened=opened(world, placed_ms=far))
    await world.event(city, order_opened=opened(world, pickup={"lat_e7": 2_000_000_000}))
    await world.event(city, order_cancelled=city_pb.OrderCancelled(order_id="o", reason="r" * 2000))
    await world.status(city, 1, 17)
    await world.event(city)
    partition = world.cities[city]
    await world.producer.send_and_wait(CITY_EVENTS.name, b"\xff\xff\xff", partition=partition)
    await world.producer.send_and_wait(RIDER_PINGS.name, b"\xff\xff\xff", partition=partition)
    return [
        "order_opened.order_id: holds a NUL",
        "order_opened.order_id: 1000000 bytes, at most 1024",
        f"order_opened.placed_ms: {far} is not in 0..253402214400000",
        "order_opened.pickup.lat_e7: 2000000000 is not in -900000000..900000000",
        "order_cancelled.reason: 2000 bytes, at most 1024",
        "rider_status.status: 17 is not known to this release",
        "of a kind that this release does not know",
        "not a message of city.events",
        "not a batch of fixes",
    ]


async def test_a_city_goes_on_behind_messages_that_it_cannot_take(
    stack: LocalStack, fresh_database: str, tmp_path: Path, poison: Poison
) -> None:
    """An order placed behind all of them is carried to its door; each is listed with its reason, and can be retried and
    dropped.
    """
    async with dispatch_world(stack, fresh_database, tmp_path) as world, world.shard("shard-a") as shard:
        (city,) = world.cities
        await world.owner(city)
        reasons = await send_bad(world, city)
        await world.status(city, 1, link.RIDER_STATUS_ONLINE, capacity=2)
        await world.fixes(city, {1: (0, 1)})
        order_id = await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0))
        await deliver(world, city, order_id)
        assert shard.process.returncode is None

        rows = await until_listed(poison, world, city, len(reasons))
        assert len(rows) == len(reasons)
        for row, reason in zip(rows, reasons, strict=True):
            assert row["reason"].startswith(reason), row
            assert row["partition"] == world.cities[city]
        code, table, _ = await poison(world, "list")
        assert code == 0
        assert max(map(len, table.splitlines())) <= 80

        # Retried it is read again, and set aside again: a new place, the old row gone.
        for row in (rows[0], rows[1]):
            code, printed, said = await poison(world, "retry", row["id"])
            assert (code, printed, said) == (0, f"{row['id']} retried\n", "")
        again = await until_listed(poison, world, city, len(reasons))
        assert {row["id"] for row in again}.isdisjoint({rows[0]["id"], rows[1]["id"]})
        assert sorted(row["reason"] for row in again) == sorted(row["reason"] for row in rows)
        for row in again:
            assert (await poison(world, "drop", row["id"]))[0] == 0
        assert await listed(poison, world, city) == []
        code, _, said = await poison(world, "drop", again[0]["id"])
        assert code == 1
        assert said == f"forno log poison: nothing is set aside as {again[0]['id']}\n"


async def test_an_event_that_only_the_database_refuses_is_found_and_set_aside(
    stack: LocalStack, fresh_database: str, tmp_path: Path, poison: Poison
) -> None:
    """An order that came with it is carried to its door by the same owner; it is listed with what the database said."""
    async with dispatch_world(stack, fresh_database, tmp_path) as world, world.shard("shard-a") as shard:
        (city,) = world.cities
        await world.owner(city)
        refused = world.order(66)
        await world.pool.execute(f"alter table dispatch.orders add constraint refused check (order_id <> '{refused}')")
        await world.status(city, 1, link.RIDER_STATUS_ONLINE, capacity=2)
        await world.fixes(city, {1: (0, 1)})
        await world.open_order(city, 66, restaurant=(0, 0), door=(10, 0))
        await deliver(world, city, await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0)))
        (row,) = await until_listed(poison, world, city, 1)
        assert row["reason"].startswith("refused: "), row
        assert (row["topic"], row["partition"]) == (CITY_EVENTS.name, world.cities[city])
        assert row["bytes"] > 0
        assert (await world.store.read_map()).cities[city].epoch == 1
        assert shard.process.returncode is None


async def test_what_an_older_release_set_aside_is_taken_by_a_newer_one_when_retried(
    stack: LocalStack, fresh_database: str, tmp_path: Path, poison: Poison
) -> None:
    """Though the newer one, which starts behind it, reads the original as a message that was taken. What was dropped
    does not come back when the log is read again.
    """
    async with dispatch_world(stack, fresh_database, tmp_path) as world:
        (city,) = world.cities
        async with world.shard("shard-a", main="tests.integration.older_release"):
            await world.owner(city)
            await world.producer.send_and_wait(RIDER_PINGS.name, b"\xff\xff\xff", partition=world.cities[city])
            await world.event(city, order_opened=opened(world, restaurant_id="r" * 40))
            await world.status(city, 1, link.RIDER_STATUS_ONLINE, capacity=2)
            await world.fixes(city, {1: (0, 1)})
            await deliver(world, city, await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0)))
            event, ping = await until_listed(poison, world, city, 2)
            assert event["reason"] == "order_opened.restaurant_id: 40 bytes, at most 32"
            assert ping["topic"] == RIDER_PINGS.name
            assert (await poison(world, "drop", ping["id"]))[0] == 0
        async with world.shard("shard-a"):
            await world.owner(city)
            assert (await poison(world, "retry", event["id"]))[0] == 0
            await deliver(world, city, world.order(90))
            assert await listed(poison, world, city) == []
            code, _, said = await poison(world, "retry", event["id"])
            assert (code, said) == (1, f"forno log poison: nothing is set aside as {event['id']}\n")


async def test_a_message_that_the_broker_refuses_is_set_aside_and_the_others_are_sent(
    stack: LocalStack, fresh_database: str, tmp_path: Path, poison: Poison
) -> None:
    """One that is too large for any broker, between two results of a real order."""
    async with dispatch_world(stack, fresh_database, tmp_path) as world, world.shard("shard-a"):
        (city,) = world.cities
        await world.owner(city)
        message = await world.pool.fetchval(
            "insert into outbox (city, order_id, event_id, topic, payload)"
            " values ($1, 'o-large', 'o-large.1', 'dispatch.events', $2) returning id",
            city,
            bytes(5 << 20),
        )
        await world.status(city, 1, link.RIDER_STATUS_ONLINE, capacity=2)
        await world.fixes(city, {1: (0, 1)})
        order_id = await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0))
        await deliver(world, city, order_id)
        assert [event.version for event in await world.results(order_id, 3)] == [1, 2, 3]
        code, printed, said = await poison(world, "list", "--json")
        assert code == 0, said
        (row,) = json.loads(printed)
        assert (row["reader"], row["offset"], row["key"], row["bytes"]) == (
            "relay",
            message,
            "o-large",
            5 << 20,
        )
        assert "MessageSizeTooLarge" in row["reason"]
        # Made small, it is sent when it is retried.
        await world.pool.execute("update outbox set payload = '' where id = $1", message)
        assert (await poison(world, "retry", row["id"]))[0] == 0
        waiting = "select count(*) from outbox where sent_at is null"
        async with asyncio.timeout(30):
            while await world.pool.fetchval(waiting):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def bad_instructions(order_id: str) -> dict[bytes, str]:
    """Every kind of event of an order that payments cannot take, and the beginning of what is to be said of it."""
    wrong_sum = order_pb.OrderEvent(order_id=order_id, version=2)
    wrong_sum.placed.amount.CopyFrom(Money(minor=7, currency="CLP"))
    nameless = order_pb.OrderEvent(order_id="o-1", version=2, delivered=order_pb.Delivered())
    endless = order_pb.OrderEvent(order_id=order_id, version=2**63, delivered=order_pb.Delivered())
    nul = order_pb.OrderEvent(order_id=order_id, version=2, cancelled=order_pb.Cancelled(reason="a\0b"))
    return {
        b"\xff\xff\xff": "not an event of an order: ",
        order_pb.OrderEvent(
            order_id=order_id, version=2
        ).SerializeToString(): "of a kind that this release does not know",
        nameless.SerializeToString(): "not an event of an order: ",
        wrong_sum.SerializeToString(): f"the parts of {order_id} do not add up to its amount",
        endless.SerializeToString(): "version: 9223372036854775808 is not in 0..9223372036854775807",
        nul.SerializeToString(): "cancelled.reason: holds a NUL",
    }


async def test_payments_go_on_behind_instructions_that_they_cannot_take(
    stack: LocalStack, tmp_path: Path, poison: Poison
) -> None:
    """Customers before, between and behind bad messages are charged; each message is listed with its reason, is set
    aside again when it is retried, and can be dropped.
    """
    async with orders_world(stack, tmp_path) as world:
        before = await world.place()
        await world.until_status(before.order_id, "ACCEPTED")
        bad, between = bad_instructions(before.order_id), []
        for message in bad:
            await world.producer.send_and_wait(ORDER_EVENTS.name, message, key=before.order_id.encode())
            between.append(await world.place())
        for order in (before, *between):
            await world.until_status(order.order_id, "ACCEPTED")
            await world.deliver(order.order_id)
            await world.until_payment(order.order_id, "CAPTURED")

        async def listed() -> list[dict[str, Any]]:
            code, printed, said = await poison(world, "list", "--json")
            assert code == 0, said
            mine = [row for row in json.loads(printed) if row["id"].startswith("payments_")]
            return sorted(mine, key=lambda row: row["offset"])

        rows = await until(listed, lambda rows: len(rows) == len(bad), "all bad messages are listed")
        for row, reason in zip(rows, bad.values(), strict=True):
            assert (row["reader"], row["topic"]) == ("payments", ORDER_EVENTS.name)
            assert row["reason"].startswith(reason), row
        code, _, said = await poison(world, "retry", rows[1]["id"])
        assert code == 1
        assert "its reader has gone on without it" in said
        assert (await poison(world, "retry", rows[0]["id"]))[0] == 0
        again = await until(
            listed, lambda again: len(again) == len(bad) and again[0] != rows[0], "it is set aside again"
        )
        for row in again:
            assert (await poison(world, "drop", row["id"]))[0] == 0
        assert await listed() == []


async def test_a_refused_message_does_not_take_others_with_it(stack: LocalStack, topic_prefix: str) -> None:
    """What the broker takes is durable, what it refuses is told by its place."""
    writer = kafka.producer(stack.env["FORNO_KAFKA_URL"])
    await writer.start()
    messages = [Outgoing(CITY_EVENTS.name, "k", value, 0) for value in (b"a", bytes(5 << 20), b"b")]
    refused = await send_all(writer, [*messages, Outgoing(CITY_EVENTS.name, "k", b"c", 10_000)])
    await writer.stop()
    assert list(refused) == [1, 3]
    assert refused[3].startswith("partition: city.events has ")


async def test_a_loan_with_a_wrong_partition_holds_up_no_city(stack: LocalStack, fresh_database: str) -> None:
    """What its riders say is set aside, not tried again with each tick, and where they are is counted; riders of other
    loans are heard."""
    await prepare(fresh_database)
    pool = await postgres.connect(fresh_database)
    writer = kafka.producer(stack.env["FORNO_KAFKA_URL"])
    await writer.start()
    logs = KafkaBorderLogs(writer, "shard-a", SystemClock(), set_aside.into(pool, "borders"))
    said = RiderArrived(5, RiderId(7))
    nowhere = Loan("nowhere", "roma", "milano", 10_000, 1, 1, 2, LoanState.LENT)
    await logs.forward([("e-1", said, nowhere), ("e-2", said, replace(nowhere, borrower_partition=0))])
    await logs.fixes(nowhere, fixes({7: (0, 0), 8: (0, 0)}))
    async with pool.acquire() as connection:
        (row,) = await set_aside.rows(connection, 10)
    await writer.stop()
    await pool.close()
    assert (row.reader, row.topic, row.key) == ("borders", CITY_EVENTS.name, "milano")
    assert "none is 10000" in row.reason
    assert FIXES_NOT_FORWARDED.labels("roma")._value.get() == 2


@pytest.mark.parametrize("word", ["7", "core/", "core/x", "/7", "core/-1", f"core/{2**63}"])
async def test_nonsense_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was wanted."""
    from deploy.set_aside.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["drop", word])
    assert ended.value.code == 2
    assert "DATABASE/NUMBER" in capsys.readouterr().err
