"""The order service and payments as real processes upon the real stack; dispatch is played by its events."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import grpc.aio
from aiokafka import AIOKafkaProducer, TopicPartition
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.stack.stack import LocalStack
from node import kafka
from proto.common.v1.types_pb2 import LatLng, Money
from proto.dispatch.v1 import dispatch_event_pb2 as dispatch_pb
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.orders.v1 import orders_pb2 as pb
from proto.orders.v1.orders_pb2_grpc import OrdersStub
from proto.payments.v1 import payments_pb2 as payments_pb
from proto.payments.v1.payments_pb2_grpc import PaymentsStub
from proto.topics import CITY_EVENTS, DISPATCH_EVENTS, ORDER_EVENTS, PAYMENT_EVENTS
from tests.integration.channel import channel_to
from tests.shared_log import readable

if TYPE_CHECKING:
    from proto.orders.v1.orders_pb2_grpc import OrdersAsyncStub
    from proto.payments.v1.payments_pb2_grpc import PaymentsAsyncStub

T = TypeVar("T")

CITY = "la-serena"
DEADLINE_S = 100.0


async def until(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool], what: str) -> T:
    """Asks again and again until the answer is good; fails when it has not changed for a long time."""
    last, since_s = await ask(), time.monotonic()
    while not good(last):
        answer = await ask()
        if answer != last:
            last, since_s = answer, time.monotonic()
        assert time.monotonic() < since_s + DEADLINE_S, f"never came true: {what}; last answer: {answer}"
        await asyncio.sleep(0.03)
    return last


def free_address() -> str:
    """host:port on loopback that nobody uses now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def basket(*, quantity: int = 2, price_minor: int = 4500, currency: str = "CLP") -> pb.Basket:
    """Two pizzas from a restaurant in La Serena to a house two kilometres away."""
    return pb.Basket(
        city=CITY,
        restaurant=pb.Restaurant(
            restaurant_id="r-1", name="Forno", at=LatLng(lat_e7=-299_020_000, lng_e7=-712_520_000), preparation_s=600
        ),
        dropoff=LatLng(lat_e7=-299_200_000, lng_e7=-712_500_000),
        items=[
            pb.Item(
                sku="margherita",
                name="Margherita",
                quantity=quantity,
                price=Money(minor=price_minor, currency=currency),
            )
        ],
        tip=Money(minor=500, currency="CLP"),
    )


@dataclass
class Process:
    """A service as a process of its own, which may be killed and started again on the same port."""

    module: str
    env: Mapping[str, str]
    log: Path
    listen: str = field(default_factory=free_address)
    running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it and waits until it serves."""
        await self.begin()
        await until(self._serves, bool, f"{self.module} serves (log: {self.log})")

    async def begin(self) -> None:
        """Starts it."""
        env = {**os.environ, **self.env, "FORNO_LISTEN": self.listen, "FORNO_LOG_LEVEL": "info"}
        with self.log.open("ab") as log:
            self.running = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, env=env, stderr=log, stdout=log
            )

    async def kill(self) -> None:
        """kill -9."""
        assert self.running is not None
        if self.running.returncode is None:
            self.running.kill()
        await self.running.wait()

    async def stop(self) -> None:
        """SIGTERM; returns when it is gone."""
        assert self.running is not None
        if self.running.returncode is None:
            self.running.terminate()
        await self.running.wait()

    async def _serves(self) -> bool:
        assert self.running is not None
        assert self.running.returncode is None, f"{self.module} ended: {self.log.read_text()[-3000:]}"
        async with grpc.aio.insecure_channel(self.listen) as channel:
            try:
                answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@dataclass
class OrdersWorld:
    """Both services, ways to talk to them, and what they left behind."""

    orders_process: Process
    payments_process: Process
    orders: OrdersAsyncStub
    payments: PaymentsAsyncStub
    producer: AIOKafkaProducer
    kafka_url: str
    databases: Mapping[str, str]
    versions: dict[str, int] = field(default_factory=dict)

    async def place(self, *, token: str = "tok_ok", user: str = "ana", key: str = "") -> pb.Order:
        """Places an order; the call is retried while the service is away."""
        request = pb.PlaceRequest(
            user_id=user, idempotency_key=key or uuid.uuid4().hex, basket=basket(), payment_token=token
        )
        answer = await self.orders.Place(request, timeout=DEADLINE_S, wait_for_ready=True)
        return answer.order

    async def order(self, order_id: str) -> pb.Order:
        """The order as it is now."""
        request = pb.GetRequest(order_id=order_id)
        return (await self.orders.Get(request, timeout=DEADLINE_S, wait_for_ready=True)).order

    async def until_status(self, order_id: str, *statuses: str) -> pb.Order:
        """The order, once it has one of these statuses."""
        wanted = [pb.OrderStatus.Value(f"ORDER_STATUS_{status}") for status in statuses]
        return await until(lambda: self.order(order_id), lambda order: order.status in wanted, f"order is {statuses}")

    async def until_payment(self, order_id: str, status: str) -> payments_pb.Payment:
        """The payment, once it has that status."""
        wanted = payments_pb.PaymentStatus.Value(f"PAYMENT_STATUS_{status}")
        request = payments_pb.GetRequest(order_id=order_id)

        async def ask() -> payments_pb.Payment:
            return (await self.payments.Get(request, timeout=DEADLINE_S, wait_for_ready=True)).payment

        return await until(ask, lambda payment: payment.status == wanted, f"payment is {status}")

    def next_event(self, order_id: str, kind: str, **fields: object) -> dispatch_pb.DispatchEvent:
        """The next event of dispatch about an order."""
        version = self.versions[order_id] = self.versions.get(order_id, 0) + 1
        kinds = {
            "assigned": dispatch_pb.Assigned,
            "unassigned": dispatch_pb.Unassigned,
            "picked_up": dispatch_pb.PickedUp,
            "delivered": dispatch_pb.Delivered,
            "failed": dispatch_pb.Failed,
            "eta_changed": dispatch_pb.EtaChanged,
        }
        event = dispatch_pb.DispatchEvent(
            event_id=f"{order_id}-d{version}", city=CITY, order_id=order_id, version=version, epoch=1, at_ms=1000
        )
        getattr(event, kind).CopyFrom(kinds[kind](**fields))
        return event

    async def tell(self, *events: dispatch_pb.DispatchEvent) -> None:
        """Publishes events of dispatch."""
        sent = [
            await self.producer.send(DISPATCH_EVENTS.name, event.SerializeToString(), key=event.order_id.encode())
            for event in events
        ]
        await asyncio.gather(*sent)

    async def deliver(self, order_id: str) -> None:
        """Everything dispatch says about an order that goes well."""
        await self.tell(
            self.next_event(order_id, "assigned", rider_id=7, eta_ms=5000),
            self.next_event(order_id, "picked_up", rider_id=7, eta_ms=4000),
            self.next_event(order_id, "delivered", rider_id=7),
        )

    async def city_events(self, order_id: str) -> list[CityEvent]:
        """What dispatch was told about an order, in the log's order."""
        events = readable(CityEvent, await self.messages(CITY_EVENTS.name))
        return [e for e in events if order_id in (e.order_opened.order_id, e.order_cancelled.order_id)]

    async def messages(self, topic: str) -> list[bytes]:
        """All messages of a topic. A reader that met the log while it was being made may wait for ever: let it go."""
        for patience_s in itertools.count(3, 6):
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    return await self._messages(topic)
        raise AssertionError("never reached")

    async def _messages(self, topic: str) -> list[bytes]:
        reader = kafka.consumer(self.kafka_url)
        try:
            await reader.start()
            partitions = [TopicPartition(topic, number) for number in await kafka.partitions_of(reader, topic)]
            reader.assign(partitions)
            await reader.seek_to_beginning(*partitions)
            ends = await reader.end_offsets(partitions)
            found: list[bytes] = []
            for partition in partitions:
                reader.assign([partition])
                reader.seek(partition, 0)
                while await reader.position(partition) < ends[partition]:
                    batches = await reader.getmany(timeout_ms=200)
                    found += [record.value for records in batches.values() for record in records]
            return found
        finally:
            await reader.stop()

    async def fetch(self, database: str, query: str, *args: object) -> list[asyncpg.Record]:
        """Rows of one of the databases: orders_0, orders_1, payments."""
        connection = await asyncpg.connect(self.databases[database])
        try:
            return list(await connection.fetch(query, *args))
        finally:
            await connection.close()


async def administer(base: str, statements: Sequence[str]) -> None:
    """Runs statements on the server's own database."""
    admin = await asyncpg.connect(f"{base}/postgres")
    try:
        for statement in statements:
            await admin.execute(statement)
    finally:
        await admin.close()


@asynccontextmanager
async def orders_world(
    stack: LocalStack, folder: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[OrdersWorld]:
    """Both services with databases of their own, on the shared servers; `settings` are added to their environment."""
    base = stack.env["FORNO_POSTGRES_URL"]
    suffix = uuid.uuid4().hex[:8]
    names = {name: f"{name}_{suffix}" for name in ("orders_0", "orders_1", "payments")}
    await administer(base, [f"create database {name}" for name in names.values()])
    env = {
        **stack.env,
        "FORNO_ORDERS_RANGES": f"0-32767={names['orders_0']},32768-65535={names['orders_1']}",
        "FORNO_PAYMENTS_DATABASE": names["payments"],
        **settings,
    }
    router = Process("shard_router.main", env, folder / "router.log")
    env["FORNO_ROUTER_ADDRESS"] = router.listen
    orders = Process("orders.main", env, folder / "orders.log")
    payments = Process("orders.payments.main", env, folder / "payments.log")
    producer = kafka.producer(stack.env["FORNO_KAFKA_URL"])
    await producer.start()
    try:
        await asyncio.gather(router.start(), orders.start(), payments.start())
        async with (
            channel_to(orders.listen) as orders_channel,
            channel_to(payments.listen) as payments_channel,
        ):
            yield OrdersWorld(
                orders,
                payments,
                OrdersStub(orders_channel),
                PaymentsStub(payments_channel),
                producer,
                stack.env["FORNO_KAFKA_URL"],
                {name: f"{base}/{database}" for name, database in names.items()},
            )
    finally:
        await producer.stop()
        for process in (payments, orders, router):
            if process.running is not None:
                await process.stop()
        await administer(base, [f"drop database {name} with (force)" for name in names.values()])


PAYMENT_TOPIC, ORDER_TOPIC = PAYMENT_EVENTS.name, ORDER_EVENTS.name
