"""Streams over real gRPC, on memory logs: bad messages, lost signal, second devices, restarts, the README."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import tracking
from proto.tracking.v1 import rider_link_pb2 as pb
from tests.integration.tracking_inprocess import InProcess, in_process
from tracking.client import Disconnected, EdgeLink, Event, Refused, RiderClient, RiderStatus, Stopped, wire
from tracking.engine.edge import Edge
from tracking.model import RiderReplied

LAT_E7, LNG_E7 = -299_027_000, -712_520_000


@pytest.fixture
def world(tmp_path: Path) -> InProcess:
    """Memory logs and keys."""
    return in_process(tmp_path)


def ping(world: InProcess, first_seq: int, n: int = 1) -> pb.PingBatch:
    """A good batch."""
    row = (world.clock.domain_ms(), LAT_E7, LNG_E7, 50, 0, 0)
    return wire.ping_batch(first_seq, (row,) * n)


async def raw_stream(world: InProcess, address: str, rider: int) -> tuple[grpc.aio.Channel, Any]:
    """A stream whose messages are bytes, past its Hello."""
    channel = grpc.aio.insecure_channel(address)
    connect: Any = channel.stream_stream("/tracking.v1.RiderLink/Connect")
    call = connect(metadata=(("authorization", f"Bearer {world.token(rider)}"),))
    await call.write(wire.hello(world.clock.domain_ms(), 0, "test").SerializeToString())
    assert pb.ConnectResponse.FromString(await call.read()).WhichOneof("kind") == "welcome"
    return channel, call


async def test_the_readmes_example_runs(world: InProcess) -> None:
    """The snippet of tracking/README.md rides, and is acknowledged for its ten fixes."""
    text = (Path(tracking.__file__).parent / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), scope)
    async with world.edge() as (_, address):
        assert await scope["ride"](address, world.token(7)) == 10
    assert len(world.logged(7)) == 10


async def test_malformed_messages_are_refused_one_by_one(world: InProcess) -> None:
    """Each is told by field and reason on the very stream that sent it, which goes on and is acknowledged."""
    good = ping(world, 1, 3)
    short = pb.PingBatch()
    short.CopyFrom(good)
    short.lat_e7 = good.lat_e7[:-4]
    odd = pb.PingBatch()
    odd.CopyFrom(good)
    odd.speed_cms = good.speed_cms + b"\x00"
    seq_odd = pb.PingBatch()
    seq_odd.CopyFrom(good)
    seq_odd.seq = good.seq + b"\x00"
    cases: list[tuple[str, bytes, str, str]] = [
        ("no protobuf", b"\xff\xff\xff", "", "bad_message"),
        ("nothing", b"", "", "bad_message"),
        ("a second Hello", wire.hello(0, 0, "x").SerializeToString(), "hello", "bad_message"),
        ("no fixes", pb.ConnectRequest(pings=pb.PingBatch()).SerializeToString(), "pings.seq", "batch_size"),
        ("101 fixes", pb.ConnectRequest(pings=ping(world, 1, 101)).SerializeToString(), "pings.seq", "batch_size"),
        ("a short column", pb.ConnectRequest(pings=short).SerializeToString(), "pings.lat_e7", "column_length"),
        ("an odd column", pb.ConnectRequest(pings=odd).SerializeToString(), "pings.speed_cms", "column_length"),
        ("an odd seq", pb.ConnectRequest(pings=seq_odd).SerializeToString(), "pings.seq", "column_length"),
        (
            "a status of no number",
            pb.ConnectRequest(status=pb.StatusUpdate(seq=1)).SerializeToString(),
            "status.status",
            "out_of_range",
        ),
    ]
    async with world.edge() as (_, address):
        channel, call = await raw_stream(world, address, 1)
        for name, message, field, reason in cases:
            await call.write(message)
            refused = pb.ConnectResponse.FromString(await call.read()).refused
            assert (refused.field, refused.reason) == (field, reason), name
        await call.write(pb.ConnectRequest(pings=good).SerializeToString())
        assert pb.ConnectResponse.FromString(await call.read()).ack.seq == 3
        await channel.close()
    assert len(world.logged(1)) == 3


async def test_rubbish_of_one_rider_leaves_the_other_alone(world: InProcess) -> None:
    """Two thousand random messages (seed 1) on one stream: a healthy rider's fixes are all acknowledged meanwhile."""
    draw = random.Random(1)
    template = pb.ConnectRequest(pings=ping(world, 1, 50)).SerializeToString()
    async with world.edge() as (edge, address), EdgeLink(address) as link:
        async with RiderClient(link, world.token(2), world.clock) as healthy:
            channel, call = await raw_stream(world, address, 1)

            async def read() -> int:
                refused = 0
                while refused < 2_000:
                    refused += pb.ConnectResponse.FromString(await call.read()).WhichOneof("kind") == "refused"
                return refused

            reading = asyncio.create_task(read())
            sent = 0
            while not reading.done():
                rubbish = bytearray(template)
                for _ in range(draw.randrange(1, 40)):
                    rubbish[draw.randrange(len(rubbish))] = draw.randrange(256)
                await call.write(bytes(rubbish[: draw.randrange(len(rubbish) + 1)]))
                sent += 1
                if sent % 20 == 0:
                    healthy.fix(LAT_E7 + sent, LNG_E7)
                assert sent < 20_000
            await healthy.drain(10)
            assert healthy.failure is None
            assert healthy.journal.sessions == 1
            assert set(healthy.journal.acked_fixes) == world.logged(2)
            assert len(healthy.journal.acked_fixes) == sent // 20
            await channel.close()
        assert edge.waiting_fixes == 0


async def test_a_second_device_ends_the_first(world: InProcess) -> None:
    """The older client stops with SUPERSEDED and does not fight back; the newer one rides on."""
    async with (
        world.edge() as (_, address),
        EdgeLink(address) as link,
        RiderClient(link, world.token(1), world.clock) as old,
    ):
        old.fix(LAT_E7, LNG_E7)
        await old.drain(10)
        async with RiderClient(link, world.token(1), world.clock) as new:
            new.fix(LAT_E7, LNG_E7)
            await new.drain(10)
            old.fix(LAT_E7, LNG_E7)
            with pytest.raises(Stopped) as stopped:
                await old.drain(10)
            assert stopped.value.reason == "SUPERSEDED"
            assert new.failure is None


async def test_without_signal_everything_is_kept(world: InProcess) -> None:
    """Fixes, a status and a reply made offline arrive under the next session, each once, in order."""
    said: list[Event] = []
    async with world.edge() as (_, address), EdgeLink(address) as link:
        async with RiderClient(link, world.token(1), world.clock, on_event=said.append) as rider:
            rider.fix(LAT_E7, LNG_E7)
            await rider.drain(10)
            rider.signal(up=False)
            for n in range(250):
                rider.fix(LAT_E7 + n, LNG_E7)
            rider.status(RiderStatus.ARRIVED, order_id="order-1")
            rider.reply("offer-1", accepted=True)
            await asyncio.sleep(0)
            rider.signal(up=True)
            await rider.drain(10)
        assert rider.journal.sessions == 2
        assert Disconnected("no signal") in said
    assert world.logged(1) == set(rider.journal.acked_fixes)
    bodies = [event.body for event in world.event_log.events[0]]
    assert [isinstance(body, RiderReplied) for body in bodies] == [False, True]


async def test_an_edge_that_goes_away_is_followed_by_the_next(world: InProcess) -> None:
    """Drained and started again on the same port, three times: every fix that was acked is in the log."""
    async with world.edge() as (_, address):
        pass
    async with EdgeLink(address) as link, RiderClient(link, world.token(1), world.clock) as rider:
        for _ in range(3):
            async with world.edge(address):
                for n in range(30):
                    rider.fix(LAT_E7 + n, LNG_E7)
                await rider.drain(20)
            rider.fix(LAT_E7, LNG_E7)
        async with world.edge(address):
            await rider.drain(20)
    assert rider.journal.sessions == 4
    assert set(rider.journal.acked_fixes) <= world.logged(1)
    assert len(rider.journal.acked_fixes) == 93


async def test_a_throttled_rider_sends_less(world: InProcess) -> None:
    """Told one fix in a thousand seconds, the client keeps one of a hundred; told nought, it sends all again."""
    heard = asyncio.Event()

    def on_event(event: Event) -> None:
        if not isinstance(event, Refused):
            heard.set()

    async def told(edge: Edge, fixes_per_s: float) -> None:
        heard.clear()
        edge.sessions[next(iter(edge.sessions))].down_queue.throttle(fixes_per_s)
        await asyncio.wait_for(heard.wait(), 10)

    async with (
        world.edge() as (edge, address),
        EdgeLink(address) as link,
        RiderClient(link, world.token(1), world.clock, on_event=on_event) as rider,
    ):
        rider.fix(LAT_E7, LNG_E7)
        await rider.drain(10)
        await told(edge, 0.001)
        for n in range(100):
            rider.fix(LAT_E7 + n, LNG_E7)
        await rider.drain(10)
        assert len(rider.journal.acked_fixes) == 2
        await told(edge, 0.0)
        for n in range(100):
            rider.fix(LAT_E7 + n, LNG_E7)
        await rider.drain(10)
        assert len(rider.journal.acked_fixes) == 102


async def test_two_hundred_riders_share_one_connection(world: InProcess) -> None:
    """Streams are many, connections few."""

    async with world.edge() as (edge, address), EdgeLink(address) as link:
        riders = [RiderClient(link, world.token(n), world.clock, seed=n) for n in range(1, 201)]
        for rider in riders:
            rider.start()
            rider.fix(LAT_E7, LNG_E7)
        await asyncio.gather(*(rider.drain(20) for rider in riders))
        assert len(edge.sessions) == 200
        await asyncio.gather(*(rider.close() for rider in riders))
    assert all(world.logged(n + 1) == set(rider.journal.acked_fixes) for n, rider in enumerate(riders))
