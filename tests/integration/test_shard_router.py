"""The shard router as a process, asked through its client."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
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
from shard_router import cli
from shard_router.adapters.postgres import PostgresRouterStore
from shard_router.client import Directory
from shard_router.errors import NoOwner, UnknownCity
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import Member
from shard_router.leases.shard_lease import ShardLease
from shard_router.leases.slots import Slots
from shard_router.topology import Ownership
from tests.integration.channel import channel_to

LOG = structlog.get_logger()
#: A log that does not mix with what a command prints.
QUIET = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))


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
        async with channel_to(address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30)
        yield address
    finally:
        process.terminate()
        assert await process.wait() == 0
        ports.close()


def lease_of(store: PostgresRouterStore, number: int, log: Any) -> ShardLease:
    """The lease of a shard that runs nothing."""
    me = Member(f"shard-{number}", f"127.0.0.1:{number}")
    return ShardLease(store, me, Host(), Slots(SystemClock()), log)


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
        leases = [lease_of(store, n, LOG) for n in (1, 2)]
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


class Ops:
    """Somebody at a terminal, without the start of a process for each command."""

    def __init__(self, address: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.address = address
        self.capsys = capsys

    async def says(self, *words: str) -> tuple[int, Any, str]:
        """Exit code of `forno shards … --json`, what it printed, and what it complained of."""
        code = await cli._run(cli._parser().parse_args([*words, "--json", "--router", self.address]))
        printed = self.capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else None, printed.err


async def test_ops_move_plan_and_drain(
    stack: LocalStack, fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb of `forno shards` on two living shards, the refusals too."""
    async with router_process(fresh_database) as address:
        ops = Ops(address, capsys)
        pool = await postgres.connect(fresh_database)
        store = PostgresRouterStore(pool)
        leases = [lease_of(store, n, QUIET) for n in (1, 2)]
        running = [asyncio.create_task(lease.run()) for lease in leases]
        try:
            async with asyncio.timeout(20):
                while not all(c.owner for c in (await store.read_map()).cities.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            owner = str((await store.read_map()).cities["la-serena"].owner)
            other = "shard-2" if owner == "shard-1" else "shard-1"
            code, done, _ = await ops.says("move", "la-serena", other)
            assert (code, done["from"], done["to"], done["epoch"]) == (0, owner, other, 2)
            assert done["gap_ms"] is not None
            for words, reason in (
                (("move", "atlantis", other), "UNKNOWN_CITY"),
                (("move", "la-serena", other), "SAME_SHARD"),
                (("move", "la-serena", "shard-9"), "UNKNOWN_SHARD"),
                (("cancel", "la-serena"), "NO_MOVE"),
                (("drain", "shard-9"), "UNKNOWN_SHARD"),
                (("apply",), "UNKNOWN_PLAN"),
                (("apply", "--stop"), "NO_PLAN_RUNS"),
            ):
                code, _, said = await ops.says(*words)
                assert (code, f"[{reason}]" in said) == (1, True), (words, said)
            code, plan, _ = await ops.says("drain", "shard-1")
            assert (code, plan["state"]) == (0, "done")
            map_ = await store.read_map()
            assert {city.owner for city in map_.cities.values()} == {"shard-2"}
            code, _, said = await ops.says("move", "la-serena", "shard-1")
            assert (code, "[DRAINING]" in said) == (1, True)
            code, _, said = await ops.says("drain", "shard-2")
            assert (code, "[NO_OTHER_SHARD]" in said) == (1, True)
            assert (await ops.says("undrain", "shard-1"))[0] == 0
            code, made, _ = await ops.says("plan", "--target", "20")
            assert (code, len(made["plan"]["steps"])) == (0, 1)
            assert {b["shard_id"]: b["after"] for b in made["burdens"]} == {"shard-1": "20", "shard-2": "20"}
            code, plan, _ = await ops.says("apply")
            assert (code, plan["state"], plan["steps"][0]["state"]) == (0, "done", "done")
            code, moves, _ = await ops.says("moves")
            assert (code, {move["state"] for move in moves}) == (0, {"done"})
            code, listed, _ = await ops.says("list")
            assert (code, listed["shards"]["shard-1"]["draining"]) == (0, False)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
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
