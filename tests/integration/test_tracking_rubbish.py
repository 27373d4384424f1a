"""Rubbish of every kind harms nobody and is counted right: a short form here, a hundred thousand in `make prove`."""

from __future__ import annotations

import pytest

from deploy.stack.ports import Ports
from deploy.stack.stack import LocalStack
from tests.integration.rubbish import assert_rubbish_harms_nobody
from tests.integration.tracking_world import process, tracking_world


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=[pytest.mark.prove, pytest.mark.timeout(400)])])
async def test_rubbish_harms_nobody(stack: LocalStack, fresh_database: str, count: int) -> None:
    """Each bad message is refused by its word, every counter agrees, and the edge's memory stays as it is."""
    async with tracking_world(stack, fresh_database) as world:
        with Ports() as ports:
            metrics = f"127.0.0.1:{ports.take()}"
            async with process("tracking.main", world.address, {**world.env, "FORNO_METRICS_ADDRESS": metrics}) as edge:
                await assert_rubbish_harms_nobody(world, edge.pid, metrics, count)
