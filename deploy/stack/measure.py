"""Measure a broker of the local stack: `python -m deploy.stack.measure --kafka apache|embedded`.

Prints one JSON object: seconds to start, to come back after `kill -9`, messages acknowledged before the kill and found
after it, and the latency from `send` to a manually assigned consumer at a steady rate (aiokafka, acks=all).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.stack.servers.kafka import Broker, ensure_topics
from deploy.stack.stack import LocalStack
from node import arguments
from proto.topics import Topic

_RATE_HZ = 200
_MESSAGES = 2_000
_WARM_UP = 500
_BYTES = 1_000
_ACKED_BEFORE_KILL = 500
#: Consumer settings to compare: the embedded broker sleeps through a part of the wait instead of answering at once.
_FETCH_MAX_WAITS_MS = (20, 100, 500)
_TOPIC = Topic("measure", 1, 3_600_000, "bytes", "What `deploy.stack.measure` sends.")
_PARTITION = TopicPartition(_TOPIC.name, 0)


async def _producer(bootstrap: str) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    return producer


async def _consumer(bootstrap: str, fetch_max_wait_ms: int = 100) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=fetch_max_wait_ms
    )
    await consumer.start()
    consumer.assign([_PARTITION])
    return consumer


async def _latencies_ms(bootstrap: str, fetch_max_wait_ms: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Send at a steady rate, read as they come; the first messages warm up and are not counted."""
    async with AsyncExitStack() as closing:
        producer = await _producer(bootstrap)
        closing.push_async_callback(producer.stop)
        consumer = await _consumer(bootstrap, fetch_max_wait_ms)
        closing.push_async_callback(consumer.stop)
        await consumer.seek_to_end(_PARTITION)
        await consumer.position(_PARTITION)

        async def send() -> None:
            start_s = time.perf_counter()
            for number in range(_WARM_UP + _MESSAGES):
                await asyncio.sleep(start_s + number / _RATE_HZ - time.perf_counter())
                stamp = time.perf_counter_ns().to_bytes(8, "big")
                await producer.send(_TOPIC.name, stamp + bytes(_BYTES - 8), partition=0)

        async def receive() -> list[float]:
            seen: list[float] = []
            while len(seen) < _WARM_UP + _MESSAGES:
                message = await consumer.getone()
                seen.append((time.perf_counter_ns() - int.from_bytes(message.value[:8], "big")) / 1e6)
            return seen

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            receiving = group.create_task(receive())
        return np.array(receiving.result()[_WARM_UP:])


async def _acked_and_kept(stack: LocalStack) -> tuple[int, int, float]:
    """Messages acknowledged before a `kill -9` amid sending; how many are there after; seconds until healthy."""
    bootstrap = stack.env["FORNO_KAFKA_URL"]
    producer = await _producer(bootstrap)
    acked: set[bytes] = set()
    enough = asyncio.Event()

    async def send() -> None:
        for number in count():
            value = b"kept-%d" % number
            await producer.send_and_wait(_TOPIC.name, value, partition=0)
            acked.add(value)
            if len(acked) == _ACKED_BEFORE_KILL:
                enough.set()

    sending = asyncio.create_task(send())
    await enough.wait()
    killed_s = time.perf_counter()
    await stack.kill("kafka")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    before = set(acked)
    await stack.until_healthy("kafka")
    back_s = time.perf_counter() - killed_s
    await ensure_topics(
        bootstrap, [_TOPIC]
    )  # the embedded broker has forgotten it, and stopping waits for the last send
    await producer.stop()
    return len(before), len(before & await _values(bootstrap)), back_s


async def _values(bootstrap: str) -> set[bytes]:
    """All that is in the topic."""
    consumer = await _consumer(bootstrap)
    try:
        await consumer.seek_to_beginning(_PARTITION)
        end = (await consumer.end_offsets([_PARTITION]))[_PARTITION]
        found: set[bytes] = set()
        while await consumer.position(_PARTITION) < end:
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                found |= {message.value for message in messages}
        return found
    finally:
        await consumer.stop()


async def measure(broker: Broker, folder: Path) -> dict[str, Any]:
    """All figures of one broker, in a folder where its jars are already cached."""
    start_s = time.perf_counter()
    async with LocalStack(folder, kafka=broker) as stack:
        first_start_s = time.perf_counter() - start_s
        bootstrap = stack.env["FORNO_KAFKA_URL"]
        await ensure_topics(bootstrap, [_TOPIC])
        latencies_ms = {wait_ms: await _latencies_ms(bootstrap, wait_ms) for wait_ms in _FETCH_MAX_WAITS_MS}
        acked, kept, back_s = await _acked_and_kept(stack)
        restart_s = time.perf_counter()
        await stack.restart("kafka")
        return {
            "broker": f"{broker} {stack.versions['kafka']}",
            "stack_first_start_s": round(first_start_s, 2),
            "kill_to_healthy_s": round(back_s, 2),
            "restart_in_good_order_s": round(time.perf_counter() - restart_s, 2),
            "acked_before_kill": acked,
            "found_after_kill": kept,
            "latency_ms_by_fetch_max_wait_ms": {
                wait_ms: {p: round(float(np.percentile(seen_ms, q)), 1) for p, q in (("p50", 50), ("p99", 99))}
                for wait_ms, seen_ms in latencies_ms.items()
            },
            "load": f"{_MESSAGES} messages of {_BYTES} bytes at {_RATE_HZ}/s, acks=all, one partition",
        }


def main() -> int:
    """Measure one broker in a temporary folder."""
    parser = arguments.Parser(prog="python -m deploy.stack.measure", description=__doc__)
    parser.add_argument("--kafka", choices=("embedded", "apache"), default="embedded")
    broker: Broker = parser.parse_args().kafka
    with tempfile.TemporaryDirectory(prefix="forno-measure-") as folder:
        print(json.dumps(asyncio.run(measure(broker, Path(folder))), indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
