"""The audit finds what is planted, so that its silence means something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from dispatch.shard.adapters import postgres as dispatch_postgres
from node import postgres
from node.errors import Rejected
from shard_router.adapters.postgres import PostgresRouterStore, prepare
from shard_router.audit.checks import CHECKS, audit
from shard_router.topology import CityEntry

ROMA = CityEntry("roma", "Roma", 0, "Europe/Rome", "EUR", 419028000, 124964000)
TICK = """
insert into dispatch.ticks (city, tick, epoch, shard_id, now_ms, incarnation, partition, pings_offset, events_offset,
    params_digest, travel_version, strategy, solver_status, solver_work, solver_cost, fallback, problem_digest,
    solution_digest, duration_ms)
values ('roma', $1, $2, $3, 0, 'log', 0, 0, 0, '', '', '', '', 0, 0, '', '', '', 0)
"""
RANGE = """
insert into dispatch.applied_ranges (city, epoch, incarnation, topic, partition, first_offset, next_offset)
values ('roma', $1, 'log', $2, 0, $3, $4)
"""
HOLDING = """
insert into dispatch.holdings (order_id, rider_id, slot, city, epoch, since_tick, until_tick)
values ($1, $2, 0, 'roma', 1, $3, $4)
"""


@pytest.fixture
async def url(fresh_database: str) -> str:
    """The core database as the services make it."""
    await prepare(fresh_database)
    await dispatch_postgres.prepare(fresh_database)
    return fresh_database


@pytest.fixture
async def record(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A faultless record: two epochs of one city, two ticks each, a handed-over log, an order that changed hands."""
    pool = await postgres.connect(url)
    store = PostgresRouterStore(pool)
    await store.ensure_cities([ROMA])
    connection = await asyncpg.connect(url)
    for epoch, shard in enumerate(("a", "b")):
        await store.enter(shard, f"{shard}:1", uuid4(), 30)
        assert await store.claim("roma", shard, epoch) == epoch + 1
        await store.release("roma", shard, epoch + 1)
        # Ticks of the epoch, as if the release had come after them: the audit looks at claims.
        for tick in (2 * epoch + 1, 2 * epoch + 2):
            await connection.execute(TICK, tick, epoch + 1, shard)
        for topic in ("rider.pings", "city.events"):
            await connection.execute(RANGE, epoch + 1, topic, 10 * epoch, 10 * epoch + 10)
    await connection.execute("insert into dispatch.cuts values ('roma', 2, 4, 'log', 0, 20, 20)")
    await connection.execute(HOLDING, "order-1", 1, 1, 2)
    await connection.execute(HOLDING, "order-1", 2, 2, None)
    await connection.execute("insert into dispatch.decisions values ('roma', 1, 'offer-1', '{order-1}', 1, 1, '{}')")
    yield connection
    await connection.close()
    await pool.close()


async def test_a_faultless_record_is_clean(url: str, record: asyncpg.Connection) -> None:
    """Nothing is found, over something."""
    done = await audit(url)
    assert done.clean, done.findings
    assert done.examined == {"ticks": 4, "decisions": 1, "holdings": 2, "ranges": 4}


PLANTED = [
    (
        "ranges tile the log",
        "update dispatch.applied_ranges set first_offset = 12 where epoch = 2 and topic = 'rider.pings'",
        "epoch 2 goes on at 12, the one before ended at 10",
    ),
    (
        "ranges tile the log",
        "update dispatch.applied_ranges set next_offset = 11 where epoch = 1 and topic = 'city.events'",
        "epoch 2 goes on at 10, the one before ended at 11",
    ),
    (
        "ranges tile the log",
        "update dispatch.applied_ranges set first_offset = 7 where epoch = 1 and topic = 'rider.pings'",
        "epoch 1 goes on at 7, the one before ended at 0",
    ),
    (
        "nothing applied is lost",
        "delete from dispatch.applied_ranges where epoch = 2 and topic = 'city.events'",
        "city.events: applied up to 10, but the cut says 20",
    ),
    (
        "nothing applied is lost",
        "delete from dispatch.applied_ranges; update dispatch.cuts set events_offset = 0",
        "rider.pings: applied up to 0, but the cut says 20",
    ),
    (
        "every tick was decided by the owner",
        "update dispatch.ticks set shard_id = 'a' where tick = 4",
        "tick 4 of epoch 2 was written by a",
    ),
    (
        "every tick was decided by the owner",
        "update dispatch.ticks set committed_at = clock_timestamp() + interval '1 min' where tick = 2",
        "tick 2 of epoch 1 was written by a",
    ),
    (
        "epochs only grow",
        "update dispatch.ticks set tick = 9, shard_id = 'a', epoch = 1 where tick = 1",
        "tick 9 is of epoch 1, the tick before of 2",
    ),
    (
        "every decision carries its tick's epoch",
        "update dispatch.decisions set epoch = 2",
        "offer offer-1 carries epoch 2, tick 1 has 1",
    ),
    (
        "every decision carries its tick's epoch",
        "delete from dispatch.ticks where tick = 1",
        "offer offer-1 carries epoch 1, tick 1 is not there",
    ),
    (
        "every holding carries its tick's epoch",
        "update dispatch.holdings set epoch = 2 where rider_id = 1",
        "order order-1 with rider 1 carries epoch 2, tick 1 has 1",
    ),
    (
        "every holding carries its tick's epoch",
        "delete from dispatch.ticks where tick = 2",
        "order order-1 with rider 2 carries epoch 1, tick 2 is not there",
    ),
    (
        "no order has two live assignments",
        "drop index dispatch.one_live_holding_an_order; update dispatch.holdings set until_tick = null",
        "order order-1 is live with riders",
    ),
    (
        "no order was with two riders at once",
        "update dispatch.holdings set until_tick = 3 where rider_id = 1",
        "order order-1: rider 1 from tick 1 to 3, rider 2 from tick 2",
    ),
]


@pytest.mark.parametrize(("check", "plant", "what"), PLANTED, ids=[f"{n}: {row[0]}" for n, row in enumerate(PLANTED)])
async def test_what_is_planted_is_found(
    url: str, record: asyncpg.Connection, check: str, plant: str, what: str
) -> None:
    """The check it belongs to says where."""
    await record.execute(plant)
    found = [finding for finding in (await audit(url)).findings if finding.check == check]
    assert [finding.city for finding in found] == ["roma"]
    assert what in found[0].what


async def test_what_housekeeping_removes_is_not_missed(url: str, record: asyncpg.Connection) -> None:
    """After each row of a round the record is clean; the order that a rider still has outlives the tick it began in."""
    pool = await postgres.connect(url)
    archive = dispatch_postgres.PostgresDecisionLog(pool, "b")
    while await archive.prune("roma", 0, 1):
        assert (await audit(url)).clean
    await pool.close()
    examined = (await audit(url)).examined
    assert (examined["ticks"], examined["decisions"], examined["holdings"]) == (1, 0, 1)


def test_every_check_is_planted() -> None:
    """No check is believed that was never seen to find anything."""
    assert {row[0] for row in PLANTED} == set(CHECKS)


async def test_no_record_is_said_so(fresh_database: str) -> None:
    """A database that no shard has run on is not clean, it is empty."""
    await prepare(fresh_database)
    with pytest.raises(Rejected, match="no shard has run"):
        await audit(fresh_database)
