"""The shard router as a process, asked through its client."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import grpc
import grpc.aio
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.stack.ports import Ports
from deploy.stack.stack import LocalStack
from node import postgres
from node.clock import SystemClock
from node.rpc import fault_of
from proto.shard_router.v1 import shard_router_pb2 as pb
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterStub
from shard_router.adapters.postgres import PostgresRouterStore
from shard_router.client import Directory
from shard_router.errors import NoOwner, UnknownCity
from shard_router.leases import CityHost, Ownership, ShardLease

LOG = structlog.get_logger()


class Host(CityHost):
    """Runs nothing; owns what it is given."""

    async def take(self, ownership: Ownership) -> None:
        """Nothing to start."""

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """Nothing to end."""


@asynccontextmanager
async def router_process(database: str) -> AsyncIterator[str]:
    """A router on a database of its own; yields its address once it is serving."""
    base, _, name = database.rpartition("/")
    ports = Ports()
    address = f"127.0.0.1:{ports.take()}"
    env = {**os.environ, "FORNO_POSTGRES_URL": base, "FORNO_CORE_DATABASE": name, "FORNO_LISTEN": address}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "shard_router.main", env=env)
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30)
        yield address
    finally:
        process.terminate()
        assert await process.wait() == 0
        ports.close()


async def until(directory: Directory, true: Callable[[], bool]) -> None:
    """Waits for maps until something holds."""
    async with asyncio.timeout(20):
        while not true():
            await directory.changed(directory.map.version)


async def test_owners_are_found_and_follow_a_move(stack: LocalStack, fresh_database: str) -> None:
    """Two shards share two cities; after a move everybody finds the new owner, an epoch later."""
    async with router_process(fresh_database) as address:
        pool = await postgres.connect(fresh_database)
        store = PostgresRouterStore(pool)
        directory = Directory(address, LOG)
        await directory.start()
        following = asyncio.create_task(directory.run())
        with pytest.raises(NoOwner):
            directory.channel("coquimbo")
        with pytest.raises(UnknownCity):
            directory.entry("atlantis")
        leases = [ShardLease(store, f"shard-{n}", f"127.0.0.1:{n}", Host(), SystemClock(), LOG) for n in (1, 2)]
        running = [asyncio.create_task(lease.run()) for lease in leases]
        try:
            await until(directory, lambda: all(c.owner for c in directory.map.cities.values()))
            assert {c.owner for c in directory.map.cities.values()} == {"shard-1", "shard-2"}
            before = directory.entry("la-serena")
            target = "shard-2" if before.owner == "shard-1" else "shard-1"
            async with grpc.aio.insecure_channel(address) as channel:
                request = pb.MoveCityRequest(city="la-serena", to_shard=target, actor="test")
                await ShardRouterStub(channel).MoveCity(request)
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await ShardRouterStub(channel).MoveCity(pb.MoveCityRequest(city="atlantis", to_shard=target))
            assert fault_of(refused.value).reason == "UNKNOWN_CITY"
            assert fault_of(refused.value).field == "city"
            await until(directory, lambda: directory.entry("la-serena").owner == target)
            assert directory.entry("la-serena").epoch == before.epoch + 1
        finally:
            for task in (*running, following):
                task.cancel()
            await asyncio.gather(*running, following, return_exceptions=True)
            await directory.close()
            await pool.close()


async def test_a_zombie_can_write_nothing(stack: LocalStack, fresh_database: str) -> None:
    """`router.hold` refuses a shard whose epoch is over (FR001) and one whose lease ran out (FR002)."""
    async with router_process(fresh_database):
        pool = await postgres.connect(fresh_database)
        store = PostgresRouterStore(pool)
        await store.enter("old", "o:1", uuid4(), 0.0)
        await store.enter("new", "n:1", uuid4(), 30.0)
        epoch = await store.claim("la-serena", "old", 0)
        assert epoch == 1
        with pytest.raises(asyncpg.PostgresError) as late:
            await pool.execute("select router.hold('la-serena', 'old', 1)")
        assert late.value.sqlstate == "FR002"
        assert await store.claim("la-serena", "new", 1) == 2
        with pytest.raises(asyncpg.PostgresError) as stale:
            await pool.execute("select router.hold('la-serena', 'old', 1)")
        assert stale.value.sqlstate == "FR001"
        await pool.execute("select router.hold('la-serena', 'new', 2)")
        await pool.close()
