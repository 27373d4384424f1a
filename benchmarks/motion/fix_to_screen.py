"""Measure the time from a rider's send to a customer's screen, on the real system.

    riders process ══ gRPC ══> tracking ──> Kafka ──> shard ──> Redis ──> live ══ WebSocket ══> audience process

Everything is a process of its own and all share the machine, so the generator is part of the load. CPU of each is
taken over the measured span.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.motion.child_process import ChildProcess
from benchmarks.motion.place import CITY
from benchmarks.orders.cpu import cpu_s
from benchmarks.record import Figure, Say, at_least, at_most
from deploy.stack.servers.kafka import Broker
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from simulator.demo.facts.fix_ages import hop_buckets, percentiles

#: One shard: all riders are in one city.
LEFT_OUT = {"shard-2"}
#: Between the last order's pickup and the measurement, wall seconds.
SETTLE_S = 8.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of the load. `carried` of the orders must be on their way before it counts."""

    riders: int = 2000
    orders: int = 540
    carried: int = 510


@dataclass(frozen=True, slots=True)
class Scene:
    """A running system under a steady load."""

    stack: LocalStack
    riders: ChildProcess
    readers: ChildProcess

    def pids(self) -> dict[str, int]:
        """The processes, the bench's own too."""
        pids = {name: pid for name in self.stack.addresses if (pid := self.stack.pid(name)) is not None}
        return pids | {"riders (bench)": self.riders.pid, "audience (bench)": self.readers.pid}

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds that each process (with its children) has used."""
        return {name: cpu_s(pid) for name, pid in self.pids().items()}


@asynccontextmanager
async def scene(shape: Shape, broker: Broker, say: Say) -> AsyncIterator[Scene]:
    """A stack with riders on the road and customers at their screens."""
    with tempfile.TemporaryDirectory(prefix="forno-motion-") as folder:
        settings = {"FORNO_CITIES": CITY, "FORNO_LOG_LEVEL": "warning"}
        services = [replace(one, env={**one.env, **settings}) for one in SERVICES if one.name not in LEFT_OUT]
        say(f"{broker}: servers and services")
        async with LocalStack(Path(folder), kafka=broker, fail_fast=True, services=services) as stack:
            env = {**os.environ, **stack.env, **settings}
            say(f"{broker}: {shape.riders} riders connect")
            async with ChildProcess("benchmarks.motion.riders", ("--riders", str(shape.riders)), env) as riders:
                await riders.next_line()
                say(f"{broker}: {shape.orders} orders, a socket each")
                words = ("--orders", str(shape.orders), "--carried", str(shape.carried))
                async with ChildProcess("benchmarks.motion.websocket_readers", words, env) as readers:
                    await readers.next_line()
                    await asyncio.sleep(SETTLE_S)
                    yield Scene(stack, riders, readers)


async def fix_to_screen(shape: Shape, broker: Broker, seconds: float, say: Say) -> dict[str, Any]:
    """One measurement of `seconds`."""
    async with scene(shape, broker, say) as running:
        say(f"{broker}: measuring {seconds:.0f} s")
        before, cpu = await running.riders.ask("totals"), running.cpu_s()
        hops = await hop_buckets(running.stack.metrics)
        await running.readers.ask("begin")
        await asyncio.sleep(seconds)
        seen = await running.readers.ask("end")
        spent = {name: used - cpu[name] for name, used in running.cpu_s().items()}
        after = await running.riders.ask("totals")
        hops_after = await hop_buckets(running.stack.metrics)
    acked = max(1, after["acked"] - before["acked"])
    return {
        "broker": broker,
        "riders": shape.riders,
        "seconds": seconds,
        "screen": seen,
        "age_at_hops_ms": {hop: percentiles(found, hops[hop]) for hop, found in hops_after.items()},
        "fixes": _less(after, before),
        "cpu_share": {name: round(used / seconds, 3) for name, used in spent.items()},
        "cpu_us_per_fix": {name: round(1e6 * used / acked, 1) for name, used in spent.items()},
        "load_average": os.getloadavg()[0],
    }


def _less(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: value - before[name] for name, value in after.items()}


#: Milliseconds at the median and the 99th percentile.
TARGETS_MS: Mapping[Broker, tuple[float, float]] = {"apache": (40, 150), "embedded": (80, 250)}
#: Orders that must be watched, and what of the positions due must have been seen, for the percentiles to mean anything.
WATCHED = 500
SEEN = 0.95


def figures(section: dict[str, Any]) -> Sequence[Figure]:
    """The ages, and whether everybody saw nearly every fix."""
    seen, broker = section["screen"], section["broker"]
    p50_ms, p99_ms = TARGETS_MS[broker]
    orders = seen.get("orders", 0)
    share = round(seen["frames"] / max(1, orders * section["seconds"]), 3)
    name = f"fix to screen, {broker}"
    return (
        at_most(f"{name}, p50", seen.get("p50_ms", float("inf")), p50_ms, "ms"),
        at_most(f"{name}, p99", seen.get("p99_ms", float("inf")), p99_ms, "ms"),
        at_least(f"{name}, orders watched", orders, WATCHED, "orders"),
        at_least(f"{name}, fixes seen", share, SEEN, "of those due"),
    )
