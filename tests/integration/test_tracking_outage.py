"""Long outages under streaming riders, on a stack of the test's own; for `make prove`."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from deploy.stack.servers.kafka import Broker
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from node.tokens import TokenSigner
from tests.integration.test_tracking import assert_nothing_acked_is_missing
from tests.integration.tracking_world import LAT_E7, LNG_E7, TrackingWorld, tracking_world
from tracking.client import EdgeLink, Event, RiderClient, RiderStatus, Throttled

RIDERS = 100
pytestmark = [pytest.mark.prove, pytest.mark.timeout(300)]


@asynccontextmanager
async def riding(world: TrackingWorld, on_event: Callable[[Event], None]) -> AsyncIterator[list[RiderClient]]:
    """Riders who send a fix a second, now and then a status; in the end journals are compared with the log."""
    async with AsyncExitStack() as alive:
        link = await alive.enter_async_context(EdgeLink(world.address, connections=8))
        riders = [RiderClient(link, world.token(n), world.clock, seed=n, on_event=on_event) for n in range(RIDERS)]
        for rider in riders:
            await alive.enter_async_context(rider)

        async def ride() -> None:
            step = 0
            while True:
                step += 1
                for number, rider in enumerate(riders):
                    rider.fix(LAT_E7 + step, LNG_E7)
                    if (step + number) % 20 == 0:
                        rider.status(RiderStatus.ONLINE)
                    if number % 10 == 9:
                        await asyncio.sleep(10 / RIDERS)

        way = asyncio.create_task(ride())
        await until(lambda: acked(riders) >= RIDERS, 30)
        yield riders
        way.cancel()
        await asyncio.gather(*(rider.drain(60) for rider in riders))
        assert await assert_nothing_acked_is_missing(world, riders) > 0
        assert all(rider.failure is None for rider in riders)


@asynccontextmanager
async def own_stack(folder: Path, broker: Broker) -> AsyncIterator[tuple[LocalStack, TrackingWorld]]:
    """Servers, a router and an edge that this test may hurt."""
    services = [service for service in SERVICES if service.name in ("router", "tracking")]
    async with LocalStack(folder, kafka=broker, services=services) as stack:
        signer = TokenSigner(Path(stack.env["FORNO_JWT_PRIVATE_KEY_FILE"]))
        yield stack, TrackingWorld(stack.env, stack.env, stack.env["FORNO_TRACKING_ADDRESS"], signer)


def acked(riders: list[RiderClient]) -> int:
    """Fixes acknowledged so far."""
    return sum(len(rider.journal.acked_fixes) for rider in riders)


async def until(true: Callable[[], bool], within_s: float) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  (it changes in many places)
            await asyncio.sleep(0.02)


async def test_a_frozen_broker_delays_acks_and_loses_nothing(own_folder: Path) -> None:
    """Kafka stands still for 12 s: no acks, riders are throttled; then everything arrives and is acknowledged."""
    throttled: list[float] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Throttled):
            throttled.append(event.max_fixes_per_s)

    broker: Broker = "apache" if os.environ.get("FORNO_KAFKA") == "apache" else "embedded"
    async with own_stack(own_folder, broker) as (stack, world), riding(world, on_event) as riders:
        pid = stack.pid("kafka")
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(1)  # what was under way
            before = acked(riders)
            await asyncio.sleep(11)
            assert acked(riders) == before
            assert throttled[:RIDERS] == [0.2] * RIDERS
        finally:
            os.kill(pid, signal.SIGCONT)
        await until(lambda: throttled[RIDERS:] == [0.0] * RIDERS, 30)
        await until(lambda: acked(riders) > before, 10)


async def test_a_killed_broker_loses_nothing_that_was_acked(own_folder: Path) -> None:
    """Apache Kafka is killed with -9 three times under streaming riders; each time acks go on when it is back."""
    async with own_stack(own_folder, "apache") as (stack, world), riding(world, lambda _: None) as riders:
        for _ in range(3):
            await stack.kill("kafka")
            before = acked(riders)
            await stack.until_healthy("kafka")
            await until(lambda: acked(riders) >= before + 10 * RIDERS, 60)  # noqa: B023


async def test_twenty_kills_of_edges(stack: LocalStack, fresh_database: str) -> None:
    """Two edges on one port, one killed with -9 twenty times: no acked fix is missing, riders are back within 5 s."""
    slowest_s = 0.0
    async with tracking_world(stack, fresh_database) as world, AsyncExitStack() as alive:
        edges = [await alive.enter_async_context(world.edge(f"edge-{n}")) for n in range(2)]
        async with riding(world, lambda _: None) as riders:
            for kill in range(20):
                await asyncio.sleep(0.2 + kill * 0.13 % 1.0)
                edge = edges.pop(0)
                edge.kill()
                killed_s, before = time.monotonic(), acked(riders)
                await edge.wait()
                await until(lambda: all(r.connected for r in riders) and acked(riders) >= before + RIDERS, 20)  # noqa: B023
                slowest_s = max(slowest_s, time.monotonic() - killed_s)
                edges.append(await alive.enter_async_context(world.edge(f"edge-{kill + 2}")))
    assert slowest_s < 5, f"slowest return: {slowest_s:.1f} s"
    print(f"slowest return of {RIDERS} riders after a kill: {slowest_s:.2f} s")
