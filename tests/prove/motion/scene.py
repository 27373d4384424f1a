"""The whole proof, from the first process to the report: a stack, riders, customers, kills, the count."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import TopicPartition
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from deploy.stack.service import Service
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from node import kafka
from node.tokens import TokenSigner
from proto.topics import CITY_EVENTS, RIDER_PINGS
from shard_router.audit.checks import audit
from simulator.demo.facts.logs import logged_fixes, missing
from tests.integration.gateway_world import order_body
from tests.integration.tracking_world import read_all
from tests.prove.motion.crowd import Crowd, crowd
from tests.prove.motion.customers import FINAL, Customers, Watcher
from tests.prove.motion.generator import Riders
from tests.prove.motion.memory import Curves, group_rss_mb
from tests.prove.motion.slow_reader import SlowReader
from tests.prove.motion.storm import NOTICED, PARTS, Storm, returns

CITIES = {"la-serena": (-299_040_000, -712_480_000), "coquimbo": (-299_500_000, -713_300_000)}
CITY = "la-serena"
#: Riders of a process: where, how many, and the edges they know, the preferred one first. Nobody kills the last edge.
GROUPS = (
    ("la-serena", 1_000, ("tracking", "tracking-2")),
    ("coquimbo", 500, ("tracking-2", "tracking")),
    ("coquimbo", 500, ("tracking-unkilled",)),
)
RIDERS = sum(count for _, count, _ in GROUPS)
HELD_ORDERS = 40
ROUNDS = 20
ORDER_EVERY_S = 4.0
FREEZE_S = 30.0
SLOW_READERS = 10
SLOW_S = 300.0
_FIRST_RIDER = 1_000_000
#: No ack for so long: all have come that were under way. Riders' processes tell once a second.
_STILL_S = 5.0

Report = dict[str, Any]


def services() -> list[Service]:
    """Those of `forno up`, a second edge, a second live gateway, and one of each that nobody kills."""
    by_name = {service.name: service for service in SERVICES}
    edge, live = by_name["tracking"], by_name["live"]
    edges = (
        replace(edge, name=name, env={"FORNO_EDGE_ID": name}, announces={})
        for name in ("tracking-2", "tracking-unkilled")
    )
    lives = (replace(live, name=name, announces={}) for name in ("live-2", "live-unkilled"))
    return [*SERVICES, *edges, *lives]


@asynccontextmanager
async def riders_of(stack: LocalStack, folder: Path) -> AsyncIterator[Crowd]:
    """All riders, a process for each group."""
    key = stack.env["FORNO_JWT_PRIVATE_KEY_FILE"]
    of, next_rider = [], _FIRST_RIDER
    for n, (city, count, edges) in enumerate(GROUPS):
        target = "ipv4:" + ",".join(stack.addresses[edge] for edge in edges)
        out = str(folder / f"acked-{n}.npz")
        of.append(Riders(target, key, city, CITIES[city], next_rider, count, 8, out))
        next_rider += count
    async with crowd(of, folder) as ready:
        yield ready


async def play(folder: Path) -> Report:
    """Runs everything; returns what was seen. Asserts nothing but that it could be played."""
    folder.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    report: Report = {"riders": RIDERS, "machine_cores": os.cpu_count()}
    async with LocalStack(folder / "stack", kafka="apache", services=services()) as stack:
        signer = TokenSigner(Path(stack.env["FORNO_JWT_PRIVATE_KEY_FILE"]))
        # Every rider rides round the centre: what counts is that positions flow.
        body = {**order_body(), "restaurant": _counter()}
        lives = [_ws(stack, name) for name in ("live", "live-2")]
        customers = Customers(stack.env["FORNO_GATEWAY_URL"], lives, signer, body)
        async with riders_of(stack, folder) as riding:
            pids = {f"riders-{n}": process.pid for n, process in enumerate(riding.processes)} | {"test": os.getpid()}
            curves = Curves(stack, pids)
            sampling = asyncio.create_task(curves.run(), name="memory")
            await riding.until(lambda c: c.connected == RIDERS and c.acked > 3 * RIDERS, 90, "all riders ride")
            held = await _held(customers)
            report["warm_s"] = round(time.monotonic() - began_s, 1)
            report |= await _storm(stack, riding, customers, held, curves)
            report["kafka_frozen"] = await _freeze(stack, riding)
            await _finish(riding, customers, report)
            report |= await _count(stack, riding, customers, held)
            sampling.cancel()
            report["rss_mb"] = curves.rows
        await customers.close()
    report["took_s"] = round(time.monotonic() - began_s, 1)
    return report


def _ws(stack: LocalStack, name: str) -> str:
    """Address at which a live gateway takes sockets."""
    return stack.addresses[name].replace("http://", "ws://")


def _counter() -> dict[str, Any]:
    """A restaurant that is quick."""
    return {**order_body()["restaurant"], "preparation_s": 60}


async def _held(customers: Customers) -> list[Watcher]:
    """Orders whose riders have the food and go round in circles: their customers see every fix."""
    held = await asyncio.gather(*(customers.order(n) for n in range(HELD_ORDERS)))
    async with asyncio.timeout(120):
        while not all(w.status == "picked_up" and len(w.came_s) > 2 for w in held):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return list(held)


async def _storm(stack: LocalStack, riding: Crowd, customers: Customers, held: list[Watcher], curves: Curves) -> Report:
    """The kills, with orders placed all the while and readers on slow lines."""
    riding.say("storm")
    storm = Storm(stack, CITY, f"{stack.env['FORNO_POSTGRES_URL']}/core")
    reading = asyncio.create_task(_read_slowly(stack, held), name="slow readers")
    began_s = time.monotonic() - curves.began_s
    acked = riding.acked
    ordering = asyncio.create_task(_order_on(customers), name="orders")
    await storm.rage(ROUNDS)
    ended_s = time.monotonic() - curves.began_s
    ordering.cancel()
    with suppress(asyncio.CancelledError):
        await ordering
    return {
        "storm": {
            "began_s": round(began_s, 1),
            "ended_s": round(ended_s, 1),
            "acked_in_it": riding.acked - acked,
            "deaths": {kind: sum(kill.kind == kind for kill in storm.kills) for kind in PARTS},
            "returns": {kind: asdict(returns(storm.kills, held, kind)) for kind in NOTICED},
            "kills": [{**asdict(kill), "killed_s": round(kill.killed_s, 2)} for kill in storm.kills],
            "older_fixes": sum(watcher.older_fixes for watcher in customers.watchers),
            "held_shown_as": sorted({status for w in held for status in w.statuses[w.statuses.index("picked_up") :]}),
            "cut_off": sum(watcher.cut_off for watcher in customers.watchers),
        },
        "slow_readers": await reading,
    }


async def _read_slowly(stack: LocalStack, held: list[Watcher]) -> Report:
    """Readers of a byte a second at a gateway that nobody kills, beside customers who read as they should."""
    urls = [f"{_ws(stack, 'live-unkilled')}{watcher.path}" for watcher in held[:SLOW_READERS]]
    slow = [SlowReader() for _ in urls]
    unkilled = (_ws(stack, "live-unkilled"),)
    swift = [Watcher(watcher.order_id, watcher.path, unkilled) for watcher in held[:SLOW_READERS]]
    watching = [asyncio.create_task(watcher.run()) for watcher in swift]
    try:
        for reader, url in zip(slow, urls, strict=True):
            await reader.connect(url)
        before_mb = _rss_mb(stack, "live-unkilled")
        await asyncio.gather(*(reader.crawl(SLOW_S) for reader in slow))
        after_mb, crawled = _rss_mb(stack, "live-unkilled"), max(reader.bytes_read for reader in slow)
        known_s = [watcher.fixed_s[-1] for watcher in swift]
        frames = await asyncio.gather(*(reader.frames() for reader in slow))
    finally:
        for reader in slow:
            reader.close()
        for task in watching:
            task.cancel()
        await asyncio.wait(watching)
    behind = [known - _newest(of)["ts_ms"] / 1000 for known, of in zip(known_s, frames, strict=True)]
    return {
        "readers": len(slow),
        "seconds": SLOW_S,
        "bytes_each": crawled,
        "frames_when_awake": max(map(len, frames)),
        "behind_swift_readers_s": round(max(behind), 2),
        "gateway_mb": (before_mb, after_mb),
    }


def _rss_mb(stack: LocalStack, name: str) -> float:
    pid = stack.pid(name)
    assert pid is not None
    return round(group_rss_mb()[pid], 1)


def _newest(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """The last position among frames."""
    found = [frame for frame in frames if frame["type"] == "position"]
    assert found, f"no position among {[frame['type'] for frame in frames]}"
    return found[-1]


async def _order_on(customers: Customers) -> None:
    number = HELD_ORDERS
    while True:
        await customers.order(number)
        number += 1
        await asyncio.sleep(ORDER_EVERY_S)


async def _freeze(stack: LocalStack, riding: Crowd) -> Report:
    """Kafka stands still: no acks; then everything that was kept arrives."""
    before = riding.acked
    await riding.until(lambda c: c.acked > before + RIDERS and c.connected == RIDERS, 60, "acks flow before the freeze")
    pid = stack.pid("kafka")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        settled_s, at_first = await _settled(riding)
        await asyncio.sleep(FREEZE_S - settled_s - _STILL_S)
        at_last, unacked = riding.acked, sum(told.unacked for told in riding.told)
        throttled = sum(told.throttled for told in riding.told)
    finally:
        os.kill(pid, signal.SIGCONT)
    thawed_s = time.monotonic()
    await riding.until(lambda c: c.acked >= at_last + unacked, 60, "what waited during the freeze is acknowledged")
    return {
        "seconds": FREEZE_S,
        "under_way_s": round(settled_s, 1),
        "acked_in_it": at_last - at_first,
        "waiting_at_its_end": unacked,
        "throttled_riders": throttled,
        "caught_up_after_s": round(time.monotonic() - thawed_s, 1),
    }


async def _settled(riding: Crowd) -> tuple[float, int]:
    """Waits until what was under way when the broker froze has come to the riders; when that was, and all they have."""
    began_s = last_s = time.monotonic()
    acked = riding.acked
    while time.monotonic() - last_s < _STILL_S:
        await asyncio.sleep(0.1)
        if riding.acked != acked:
            acked, last_s = riding.acked, time.monotonic()
    return last_s - began_s, acked


async def _finish(riding: Crowd, customers: Customers, report: Report) -> None:
    """Held orders are delivered, riders stop and say what they were promised."""
    riding.say("release")
    try:
        async with asyncio.timeout(90):
            while not all(w.status in FINAL for w in customers.watchers):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    except TimeoutError:
        report["never_final"] = [(w.order_id, w.statuses) for w in customers.watchers if w.status not in FINAL]
    riding.say("drain")
    await riding.until(lambda c: all(told.drained for told in c.told), 130, "everything is acknowledged")


async def _count(stack: LocalStack, riding: Crowd, customers: Customers, held: list[Watcher]) -> Report:
    """The journals against the log, the log against the owners' records and the views."""
    kafka_url, core = stack.env["FORNO_KAFKA_URL"], f"{stack.env['FORNO_POSTGRES_URL']}/core"
    geo = await _geo(stack)  # before the riders have been silent for a minute
    acked, events = riding.journals()
    log = await logged_fixes(kafka_url)
    lost = missing(acked, log.keys)
    ids = {_event_id(value) for value in await read_all(kafka_url, CITY_EVENTS.name)}
    applied = await _applied(core, kafka_url)
    found = await audit(core)
    states = await _states(core)
    told = riding.told
    return {
        "log": {
            "acked_fixes": len(acked),
            "acked_fixes_missing": lost,
            "acked_events": len(events),
            "acked_events_missing": len(events - ids),
            "fixes_in_log": len(log.rows),
            "distinct_fixes_in_log": len(log.keys),
            "sessions": sum(t.sessions for t in told),
            "thinned": sum(t.thinned for t in told),
            "refused": sum(t.refused for t in told),
            "riders_failed": sum(t.failed for t in told),
        },
        "audit": {
            "findings": [f"{f.check}: {f.city}: {f.what}" for f in found.findings],
            "examined": dict(found.examined),
            "log_not_applied": applied,
        },
        "orders": {
            "placed": len(customers.watchers),
            "watched_to_the_end": sum(w.status in FINAL for w in customers.watchers),
            "went_back": [(w.order_id, w.went_back) for w in customers.watchers if w.went_back],
            "wrong_end": [
                (w.order_id, w.statuses, states.get(w.order_id, ""))
                for w in customers.watchers
                if states.get(w.order_id) != ("delivered" if w.status == "completed" else w.status)
            ],
        },
        "views": {
            "geo": geo,
            "trails": await _trails(stack, len(log.keys)),
        },
    }


def _event_id(value: bytes) -> str:
    from proto.dispatch.v1.city_event_pb2 import CityEvent

    return CityEvent.FromString(value).event_id


async def _states(core: str) -> dict[str, str]:
    connection = await asyncpg.connect(core)
    try:
        return {row["order_id"]: row["status"] for row in await connection.fetch("select * from dispatch.orders")}
    finally:
        await connection.close()


async def _applied(core: str, kafka_url: str) -> int:
    """Offsets of both logs that no owner has applied, once they have had the time to."""
    reader = kafka.consumer(kafka_url)
    await reader.start()
    connection = await asyncpg.connect(core)
    try:
        left = -1
        for _ in range(60):
            rows = await connection.fetch(
                "select c.city, c.partition, k.pings_offset, k.events_offset from router.cities c"
                " join dispatch.cuts k on k.city = c.city where c.city = any($1)",
                list(CITIES),
            )
            left = 0
            for row in rows:
                for topic, applied in ((RIDER_PINGS, row["pings_offset"]), (CITY_EVENTS, row["events_offset"])):
                    partition = TopicPartition(topic.name, row["partition"])
                    reader.assign([partition])
                    left += (await reader.end_offsets([partition]))[partition] - applied
            if left == 0 and len(rows) == len(CITIES):
                break
            await asyncio.sleep(0.5)
        return left
    finally:
        await connection.close()
        await reader.stop()


async def _geo(stack: LocalStack) -> dict[str, int]:
    """Riders in the GEO view of each city."""
    redis = Redis.from_url(stack.env["FORNO_REDIS_URL"])
    try:
        return {city: int(await redis.zcard(f"geo:{city}")) for city in CITIES}
    finally:
        await redis.aclose()


async def _trails(stack: LocalStack, wanted: int) -> Report:
    """Fixes in the trails, once they have caught up."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(stack.env["FORNO_MONGO_URL"])
    began_s, kept = time.monotonic(), 0
    try:
        while time.monotonic() < began_s + 150:
            kept = 0
            async for document in client["forno"]["rider_trail"].find({}, {"n": 1}):
                kept += document["n"]
            if kept >= wanted:
                break
            await asyncio.sleep(2.0)
    finally:
        await client.close()
    return {"fixes": kept, "wanted": wanted, "caught_up_after_s": round(time.monotonic() - began_s, 1)}
