"""Riders who send rubbish of every kind to a real edge, one healthy rider beside them, and what everybody counted."""

from __future__ import annotations

import asyncio
import random
import re
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf.message import DecodeError

from node.rpc import fault_of
from proto.tracking.v1 import rider_link_pb2 as pb
from tests.integration.tracking_world import LAT_E7, LNG_E7, TrackingWorld
from tracking.client import EdgeLink, RiderClient, wire

STREAMS = 8
#: Messages on one stream.
_BURST = 500
_HEALTHY = 1
#: Numbers of a world's riders are below; other worlds write to the same log.
_RIDERS = 1_000
_NAN_64 = struct.unpack("<q", struct.pack("<d", float("nan")))[0]
_NAN_32 = struct.unpack("<i", struct.pack("<f", float("nan")))[0]
_ABSURD_MS = (0, -1, 1, 10**18, -(1 << 63), (1 << 63) - 1, _NAN_64)
_ABSURD_E7 = (_NAN_32, 900_000_001, -900_000_001, (1 << 31) - 1, -(1 << 31))


@dataclass(slots=True)
class Heard:
    """Answers to the senders of rubbish, and what they know they sent."""

    sent: int = 0
    #: Refusals by reason, and streams that got no session by reason.
    refused: Counter[str] = field(default_factory=Counter)
    turned_away: Counter[str] = field(default_factory=Counter)
    #: Streams that the transport ended because a message was too long for it.
    too_long: int = 0


class Rubbish:
    """An endless supply, by seed; each message with the word it must be refused with, or None when nobody can tell."""

    def __init__(self, seed: int, now_ms: int) -> None:
        self._draw = random.Random(seed)
        self._now_ms = now_ms
        self._seq = 1

    def message(self) -> tuple[bytes, str | None]:
        """One message."""
        draw = self._draw
        kind = draw.choice((self._noise, self._torn, self._flipped, self._clock, self._place, self._size, self._again))
        return kind()

    def _batch(self, n: int) -> pb.PingBatch:
        self._seq += n
        row = (self._now_ms, LAT_E7, LNG_E7, 50, 0, 0)
        return wire.ping_batch(self._seq - n, (row,) * n)

    def _noise(self) -> tuple[bytes, str | None]:
        return b"\xff\xff\xff" + self._draw.randbytes(self._draw.randrange(200)), "bad_message"

    def _torn(self) -> tuple[bytes, str | None]:
        whole = pb.ConnectRequest(pings=self._batch(20)).SerializeToString()
        torn = whole[: self._draw.randrange(1, len(whole))]
        try:
            pb.ConnectRequest.FromString(torn)
        except DecodeError:
            return torn, "bad_message"
        return torn, None

    def _flipped(self) -> tuple[bytes, str | None]:
        whole = bytearray(pb.ConnectRequest(pings=self._batch(20)).SerializeToString())
        # Mostly behind the numbers: one that is far ahead would have all that follows refused for its number.
        begin = 0 if self._draw.random() < 0.02 else 180
        for _ in range(self._draw.randrange(1, 8)):
            whole[self._draw.randrange(begin, len(whole))] = self._draw.randrange(256)
        return bytes(whole), None

    def _clock(self) -> tuple[bytes, str | None]:
        batch, ts_ms = self._batch(3), self._draw.choice(_ABSURD_MS)
        batch.ts_ms = struct.pack("<3q", self._now_ms, ts_ms, self._now_ms)
        reason = "too_old" if ts_ms < self._now_ms else "from_the_future"
        return pb.ConnectRequest(pings=batch).SerializeToString(), reason

    def _place(self) -> tuple[bytes, str | None]:
        batch = self._batch(2)
        batch.lat_e7 = struct.pack("<2i", LAT_E7, self._draw.choice(_ABSURD_E7))
        return pb.ConnectRequest(pings=batch).SerializeToString(), "out_of_range"

    def _size(self) -> tuple[bytes, str | None]:
        n = self._draw.choice((101, 150, 1_000))
        return pb.ConnectRequest(pings=self._batch(n)).SerializeToString(), "batch_size"

    def _again(self) -> tuple[bytes, str | None]:
        row = (self._now_ms, LAT_E7, LNG_E7, 50, 0, 0)
        batch = wire.ping_batch(1, (row,) * 2)
        batch.seq = struct.pack("<2Q", 7, 7)
        return pb.ConnectRequest(pings=batch).SerializeToString(), "seq_not_growing"


async def pelt(world: TrackingWorld, count: int, seed: int) -> Heard:
    """Sends so many bad messages over a few streams, and a hundredth as many streams that have no right to be."""
    heard = Heard()
    each = count // STREAMS
    async with grpc.aio.insecure_channel(world.address) as channel:
        connect: Any = channel.stream_stream("/tracking.v1.RiderLink/Connect")
        senders = [_sender(world, connect, n, each, seed + n, heard) for n in range(STREAMS)]
        await asyncio.gather(*senders, _intruders(world, connect, count // 100, heard))
    return heard


async def _sender(world: TrackingWorld, connect: Any, number: int, count: int, seed: int, heard: Heard) -> None:
    """One rider of rubbish: bursts on streams of their own, each followed by a message too long for the transport."""
    rubbish = Rubbish(seed, world.clock.domain_ms())
    for begun in range(0, count, _BURST):
        await _burst(await _welcomed(world, connect, 100 + number), rubbish, min(_BURST, count - begun), heard)
        await _too_long(await _welcomed(world, connect, 100 + number), heard)


async def _welcomed(world: TrackingWorld, connect: Any, rider: int) -> Any:
    call = connect(metadata=(("authorization", f"Bearer {world.token(rider)}"),))
    await call.write(wire.hello(world.clock.domain_ms(), 0, "rubbish").SerializeToString())
    assert pb.ConnectResponse.FromString(await call.read()).WhichOneof("kind") == "welcome"
    return call


async def _burst(call: Any, rubbish: Rubbish, count: int, heard: Heard) -> None:
    """Sends, hangs up on its side, and reads what the edge says until it has said all."""
    wanted: Counter[str] = Counter()
    said: Counter[str] = Counter()

    async def write() -> None:
        for _ in range(count):
            message, reason = rubbish.message()
            if reason is not None:
                wanted[reason] += 1
            await call.write(message)
            heard.sent += 1
        await call.done_writing()

    writing = asyncio.create_task(write())
    while (raw := await call.read()) is not grpc.aio.EOF:
        response = pb.ConnectResponse.FromString(raw)
        if response.WhichOneof("kind") == "refused":
            said[response.refused.reason] += 1
    await writing
    # A garbled batch may be a good one with a number far ahead: all that follows on the stream comes after it then.
    overtaken = said["seq_not_growing"] - wanted["seq_not_growing"]
    assert (wanted - said).total() <= overtaken, f"not refused: {wanted - said}"
    heard.refused += said


async def _too_long(call: Any, heard: Heard) -> None:
    with suppress(asyncio.InvalidStateError):
        await call.write(b"\x12" + bytes(2 << 20))
    with pytest.raises(grpc.aio.AioRpcError) as cut:
        await call.read()
    assert cut.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    heard.sent += 1
    heard.too_long += 1


async def _intruders(world: TrackingWorld, connect: Any, count: int, heard: Heard) -> None:
    """Streams without a right: no token, garbage, somebody else's, no city, a clock from another century."""
    now_ms = world.clock.domain_ms()
    tokens = {
        "TOKEN_MISSING": "",
        "TOKEN_INVALID": "abc",
        "NOT_A_RIDER": world.signer.sign("user", "ana", ttl_s=60),
        "UNKNOWN_CITY": world.token(200, "atlantis"),
        "BAD_HELLO": world.token(200),
    }
    for number in range(count):
        reason = list(tokens)[number % len(tokens)]
        token = tokens[reason]
        call = connect(metadata=(("authorization", f"Bearer {token}"),) if token else ())
        device_ms = -(1 << 62) if reason == "BAD_HELLO" else now_ms
        with suppress(asyncio.InvalidStateError):
            await call.write(wire.hello(device_ms, 0, "rubbish").SerializeToString())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert fault_of(refused.value).reason == reason
        heard.turned_away[reason] += 1
        heard.sent += 1


async def healthy_rider(world: TrackingWorld, stop: asyncio.Event) -> RiderClient:
    """Rides, ten fixes a second, until told to stop; then everything is acknowledged."""
    async with EdgeLink(world.address) as link, RiderClient(link, world.token(_HEALTHY), world.clock) as rider:
        step = 0
        while not stop.is_set():
            step += 1
            rider.fix(LAT_E7 + step, LNG_E7)
            await asyncio.sleep(0.1)
        await rider.drain(30)
    return rider


async def counted(metrics_address: str) -> dict[str, float]:
    """The counters of an edge, by name and labels."""
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://{metrics_address}/metrics")).text
    return {name: float(value) for name, value in _samples(text)}


def _samples(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if found := re.fullmatch(r"(forno_tracking_[a-z_]+(?:\{[^}]*\})?) ([0-9.e+]+)", line):
            yield found[1], found[2]


def by_reason(counters: dict[str, float], name: str) -> dict[str, int]:
    """The values of a counter with the label `reason`."""
    label = re.compile(re.escape(name) + r'\{reason="([^"]*)"\}')
    return {found[1]: int(value) for key, value in counters.items() if (found := label.fullmatch(key))}


async def assert_rubbish_harms_nobody(world: TrackingWorld, pid: int, metrics_address: str, count: int) -> Heard:
    """The whole drill; prints its figures."""
    stop = asyncio.Event()
    riding = asyncio.create_task(healthy_rider(world, stop))
    await pelt(world, count // 10, seed=1)
    early = await counted(metrics_address)
    early_mb = rss_mb(pid)
    heard = await pelt(world, count - count // 10, seed=1000)
    late_mb = rss_mb(pid)
    stop.set()
    rider = await riding
    late = await counted(metrics_address)
    assert (rider.journal.sessions, len(rider.journal.refused), rider.journal.thinned_fixes) == (1, 0, 0)
    logged = await world.fixes()
    assert set(rider.journal.acked_fixes) == logged[_HEALTHY], "the healthy rider's fixes"
    name = "forno_tracking_messages_refused_total"
    grown = Counter(by_reason(late, name)) - Counter(by_reason(early, name))
    assert grown == heard.refused, "refusals counted, and refusals heard"
    name = "forno_tracking_streams_refused_total"
    assert Counter(by_reason(late, name)) - Counter(by_reason(early, name)) == heard.turned_away
    assert sum(heard.turned_away.values()) == (count - count // 10) // 100
    durable = late["forno_tracking_fixes_durable_total"]
    ours = sum(len(keys) for number, keys in logged.items() if 0 <= number < _RIDERS)
    assert durable == ours, "fixes counted as durable, and fixes in the log"
    print(f"{heard.sent} bad messages: {dict(heard.refused)}, streams {dict(heard.turned_away)}, {heard.too_long} cut")
    print(f"memory of the edge: {early_mb:.1f} MB after a tenth, {late_mb:.1f} MB after all")
    assert late_mb <= early_mb * 1.1 + 8
    return heard


def rss_mb(pid: int) -> float:
    """Resident megabytes of a process."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / 1e6
