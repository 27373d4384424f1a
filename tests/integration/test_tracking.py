"""The riders' edge as processes on the local stack: what it acknowledges is in the log, whatever befalls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from node.rpc import fault_of
from proto.tracking.v1 import rider_link_pb2 as pb
from tests.integration.tracking_world import LAT_E7, LNG_E7, TrackingWorld, tracking_world
from tracking.client import (
    Connected,
    EdgeLink,
    Event,
    Refused,
    RiderClient,
    RiderStatus,
    SendBuffer,
    Stopped,
    TokenRefused,
)


@pytest_asyncio.fixture(loop_scope="session")
async def world(stack: LocalStack, fresh_database: str) -> AsyncIterator[TrackingWorld]:
    """A router and room for edges."""
    async with tracking_world(stack, fresh_database) as ready:
        yield ready


async def assert_nothing_acked_is_missing(world: TrackingWorld, riders: list[RiderClient]) -> int:
    """Compares all journals with a full read of both logs; returns how many fixes were acknowledged."""
    fixes, events = await world.fixes(), await world.events()
    acked = 0
    for number, rider in enumerate(riders):
        promised = set(rider.journal.acked_fixes)
        acked += len(promised)
        assert promised - fixes.get(number, set()) == set(), f"rider {number}"
        missing = [f"{number}-{s}-{q}" for s, q in rider.journal.acked_events if f"{number}-{s}-{q}" not in events]
        assert missing == [], f"rider {number}"
    return acked


async def test_everything_acked_is_in_the_log(world: TrackingWorld) -> None:
    """Twenty riders stream fixes, statuses and replies; after a drain the logs hold exactly what the journals say."""
    async with world.edge("edge-1"), EdgeLink(world.address, connections=2) as link:
        riders = [RiderClient(link, world.token(n), world.clock, seed=n) for n in range(20)]
        async with AsyncExitStack() as open_riders:
            for rider in riders:
                await open_riders.enter_async_context(rider)
                rider.status(RiderStatus.ONLINE, capacity=2, at=(LAT_E7, LNG_E7))
            for step in range(30):
                for rider in riders:
                    rider.fix(LAT_E7 + step * 100, LNG_E7, speed_cms=500)
                await asyncio.sleep(0)
            for rider in riders:
                rider.reply("no-such-offer", accepted=False)
            await asyncio.gather(*(rider.drain(20) for rider in riders))
        assert await assert_nothing_acked_is_missing(world, riders) == 20 * 30
        assert sum(len(rider.journal.acked_events) for rider in riders) == 40
        fixes = await world.fixes()
        assert [fixes[n] for n in range(20)] == [set(rider.journal.acked_fixes) for rider in riders]


async def test_streams_without_a_right_are_refused(world: TrackingWorld) -> None:
    """No token, somebody else's token, an unknown city and a clock that is minutes off: a typed error each."""
    hello = pb.ConnectRequest(hello=pb.Hello(device_ms=world.clock.domain_ms()))
    late = pb.ConnectRequest(hello=pb.Hello(device_ms=world.clock.domain_ms() - 10 * 60_000))
    user = world.signer.sign("user", "ana", ttl_s=60)
    cases = [
        ("no token", "", hello, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", ""),
        ("garbage", "abc", hello, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", ""),
        ("a customer's", user, hello, grpc.StatusCode.UNAUTHENTICATED, "NOT_A_RIDER", ""),
        ("no city", world.token(0, "atlantis"), hello, grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_CITY", "city"),
        ("late clock", world.token(0), late, grpc.StatusCode.INVALID_ARGUMENT, "BAD_HELLO", "hello.device_ms"),
        ("no Hello", world.token(0), pb.ConnectRequest(), grpc.StatusCode.INVALID_ARGUMENT, "BAD_HELLO", "hello"),
    ]
    async with world.edge("edge-1"), EdgeLink(world.address) as link:
        for name, token, first, code, reason, field in cases:
            call = link.connect(token)
            with suppress(grpc.aio.AioRpcError):  # some are refused before they have said a word
                await call.write(first)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            fault = fault_of(refused.value)
            assert (fault.code, fault.reason, fault.field) == (code, reason, field), name
        async with RiderClient(link, "", world.clock) as rider:
            rider.fix(LAT_E7, LNG_E7)
            with pytest.raises(TokenRefused):
                await rider.drain(10)
        async with RiderClient(link, world.token(0, "atlantis"), world.clock) as rider:
            rider.fix(LAT_E7, LNG_E7)
            with pytest.raises(Stopped):
                await rider.drain(10)


async def test_a_bad_batch_harms_nobody_else(world: TrackingWorld) -> None:
    """One rider sends batches out of range, out of time and of no form; each is refused by name, all else goes on."""
    said: list[Event] = []
    async with world.edge("edge-1"), EdgeLink(world.address) as link:
        now_ms, buffer = world.clock.domain_ms(), SendBuffer()
        buffer.fix((now_ms, 900_000_001, LNG_E7, 50, 0, 0))  # past `RiderClient.fix`, which would not take it
        bad = RiderClient(link, world.token(0), world.clock, on_event=said.append, buffer=buffer)
        good = RiderClient(link, world.token(1), world.clock)
        async with bad, good:
            good.fix(LAT_E7, LNG_E7)
            await asyncio.gather(bad.drain(20), good.drain(20))
            bad.fix(LAT_E7, LNG_E7, ts_ms=now_ms + 60_000)
            good.fix(LAT_E7, LNG_E7)
            await asyncio.gather(bad.drain(20), good.drain(20))
            bad.fix(LAT_E7, LNG_E7)
            await bad.drain(20)
        reasons = [(event.field, event.reason) for event in said if isinstance(event, Refused)]
        assert reasons == [("pings.lat_e7[0]", "out_of_range"), ("pings.ts_ms[0]", "from_the_future")]
        assert [len(rider.journal.acked_fixes) for rider in (bad, good)] == [1, 2]
        assert await assert_nothing_acked_is_missing(world, [bad, good]) == 3


async def test_killed_edges_lose_nothing_they_acked(world: TrackingWorld) -> None:
    """Two edges share a port; each is killed with -9 under streaming riders, who go on: nothing is missing."""
    sessions: dict[int, int] = {}

    def count(number: int, event: Event) -> None:
        if isinstance(event, Connected):
            sessions[number] = sessions.get(number, 0) + 1

    async with EdgeLink(world.address, connections=4) as link, AsyncExitStack() as alive:
        edges = [await alive.enter_async_context(world.edge(f"edge-{n}")) for n in range(2)]
        riders = [
            RiderClient(link, world.token(n), world.clock, seed=n, on_event=lambda event, n=n: count(n, event))  # type: ignore[misc]
            for n in range(40)
        ]
        for rider in riders:
            await alive.enter_async_context(rider)

        async def ride(seconds: float) -> None:
            for step in range(int(seconds * 20)):
                for rider in riders:
                    rider.fix(LAT_E7 + step, LNG_E7)
                await asyncio.sleep(0.05)

        await ride(1.0)
        for edge in edges:
            riding = asyncio.create_task(ride(2.0))
            await asyncio.sleep(0.5)
            edge.kill()
            await edge.wait()
            edges.append(await alive.enter_async_context(world.edge("edge-again")))
            await riding
            if len(edges) == 4:
                break
        await asyncio.gather(*(rider.drain(30) for rider in riders))
        acked = await assert_nothing_acked_is_missing(world, riders)
    assert acked >= 40 * 100
    assert sum(sessions.values()) >= 80, "every rider lost its stream at least once"


async def test_a_stopping_edge_acknowledges_what_it_has(world: TrackingWorld) -> None:
    """On SIGTERM the edge makes durable what it received, asks to connect again, and the rider goes on elsewhere."""
    async with EdgeLink(world.address) as link:
        async with world.edge("edge-1") as first:
            rider = RiderClient(link, world.token(0), world.clock)
            rider.start()
            for step in range(500):
                rider.fix(LAT_E7 + step, LNG_E7)
            await rider.drain(20)
            rider.fix(LAT_E7, LNG_E7)
            first.terminate()
            assert await first.wait() == 0
        rider.fix(LAT_E7, LNG_E7)
        async with world.edge("edge-2"):
            await rider.drain(20)
            await rider.close()
        assert await assert_nothing_acked_is_missing(world, [rider]) >= 502
        assert rider.journal.sessions == 2
