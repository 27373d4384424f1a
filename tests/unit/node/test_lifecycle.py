"""The life of a process and its parts."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from aiokafka import AIOKafkaConsumer
from structlog.testing import capture_logs

from node.kafka import Consumer
from node.lifecycle import Node, in_background


async def test_a_part_that_is_cancelled_by_a_library_stops_the_process() -> None:
    """A cancellation nobody asked for must not leave half a service running."""

    async def part() -> None:
        raise asyncio.CancelledError

    node = Node("test", structlog.get_logger())
    node.start("listener", part())
    async with asyncio.timeout(5):
        await node.stopping.wait()
    assert node.failure is not None
    assert "listener" in node.failure


async def test_parts_cancelled_by_the_stop_are_no_failure() -> None:
    """An orderly stop ends quietly."""
    node = Node("test", structlog.get_logger())
    node.start("listener", asyncio.sleep(3600))
    await asyncio.sleep(0)
    node.stop("SIGTERM")
    await node.close()
    assert node.failure is None


async def test_a_task_that_nobody_waits_for_does_not_fail_in_silence() -> None:
    """Its failure is logged with its name; that it was cancelled is none."""

    async def failing() -> None:
        raise ValueError("a fault")

    with capture_logs() as logged:
        works = {"failing": failing(), "waiting": asyncio.sleep(60)}
        tasks = [in_background(work, name, structlog.get_logger()) for name, work in works.items()]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
    assert [(line["log_level"], line["task"]) for line in logged] == [("error", "failing")]


async def test_a_cancellation_inside_the_driver_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping a reader whose own tasks were cancelled returns; while we are being cancelled ourselves it does not."""

    async def cancelled_inside(reader: AIOKafkaConsumer) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(AIOKafkaConsumer, "stop", cancelled_inside)
    reader = object.__new__(Consumer)
    await reader.stop()
    started = asyncio.Event()

    async def waits_then_stops() -> None:
        try:
            started.set()
            await asyncio.sleep(3600)
        finally:
            await reader.stop()

    task = asyncio.create_task(waits_then_stops())
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
