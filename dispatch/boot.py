"""Start a shard and its parts in order, and stop them in order.

boot:  migrations ─> Postgres (deciding, leasing) ─> worker ─> Kafka ─> Redis ─> MongoDB ─> borders ─> gRPC ─> lease
stop:  lease (each city ends its tick, stores its cut, is released) ─> gRPC ─> city map ─> MongoDB ─> Redis ─> Kafka
       ─> worker ─> Postgres

`Slots` is made first of what lives on the lease: the lease writes in it what the shard holds, the shard asks it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from dispatch.borders.adapters.loans import GrpcNeighbours, KafkaBorderLogs, PostgresLoanBook
from dispatch.borders.grpc_api import SERVICE as BORDERS
from dispatch.borders.grpc_api import LentRiders, LoansApi
from dispatch.borders.loan_exchange import LoanDependencies
from dispatch.borders.published_borders import PublishedBorders
from dispatch.config import DispatchSettings
from dispatch.engine.params import EngineParams
from dispatch.logs.adapters.kafka import KafkaCityLogs
from dispatch.logs.value_checks import check_values
from dispatch.shard.adapters.lessons import PostgresLessonStore
from dispatch.shard.adapters.mongo import MongoLastView
from dispatch.shard.adapters.postgres import PostgresDecisionLog, prepare
from dispatch.shard.adapters.redis import RedisAnnouncements, RedisGeoView, connect
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.grpc_api import SERVICE, DispatchApi
from dispatch.shard.housekeeping import run_housekeeping
from dispatch.shard.live_city import LiveCity
from dispatch.shard.params import load_params
from dispatch.shard.ports import RecordPruner
from dispatch.shard.shard import Shard
from dispatch.shard.solver import Solver
from dispatch.shard.travel import TravelSettings
from dispatch.shard.views import Pace, ViewFollower, statuses
from dispatch.trails.adapters.mongo import MongoTrailStore
from dispatch.trails.trail_follower import TrailFollower
from node import set_aside
from node.clock import Clock
from node.kafka import LogIdentity, producer
from node.lifecycle import Node
from node.mongo import BATCH
from node.mongo import connect as connect_mongo
from node.outbox.postgres import PostgresOutbox
from node.outbox.publisher import KafkaPublisher
from node.postgres import connect as connect_postgres
from node.rpc import Server
from proto.dispatch.v1.borders_pb2_grpc import add_BordersServicer_to_server
from proto.dispatch.v1.dispatch_pb2_grpc import add_DispatchServicer_to_server
from shard_router.adapters.postgres import PostgresRouterStore
from shard_router.adapters.postgres import prepare as prepare_router
from shard_router.cities.adapters.postgres import PostgresBorders
from shard_router.cities.catalogue import load_cities
from shard_router.client import Directory
from shard_router.leases.reconcile import Member
from shard_router.leases.shard_lease import ShardLease
from shard_router.leases.slots import Slots

#: Paces of the views of last positions: the GEO view is for who looks at the moment, the other must not keep MongoDB
#: busy.
GEO_PACE = Pace(every_s=0.5, rest=1.0, rows=10_000)
LAST_PACE = Pace(every_s=5.0, rest=6.0, rows=BATCH)


async def boot(node: Node, settings: DispatchSettings) -> None:
    """Starts one shard."""
    clock, params = settings.clock(), load_params(settings.params_file)
    deciding, relaying, leasing = await _databases(node, settings.core_url)
    solver = Solver(travel_settings(settings), settings.solve_limit_ms, node.log)
    node.on_stop("worker", solver.close)
    await solver.warm()

    identity = LogIdentity(settings.kafka_url)
    node.on_stop("log identity", identity.close)
    node.start("log identity", identity.run())
    results = await _producer(node, settings)
    redis = connect(settings.redis_url)
    node.on_stop("redis", redis.aclose)

    decision_log = PostgresDecisionLog(deciding, settings.shard_id)
    views = ViewTasks(
        settings, params, clock, identity, redis, connect_mongo(settings.mongo_url), decision_log, node.log
    )
    node.on_stop("mongo", views.mongo.close)
    directory = _directory(node, settings)
    announcements = RedisAnnouncements(redis)
    border_logs = KafkaBorderLogs(results, settings.shard_id, clock, set_aside.into(relaying, "borders"))
    loans = LoanDependencies(
        book=PostgresLoanBook(leasing),
        logs=border_logs,
        neighbours=GrpcNeighbours(directory),
        announcements=announcements,
        solver=solver,
        params=params,
        clock=clock,
    )
    borders = PublishedBorders(loans, PostgresBorders(leasing, load_cities()), node.log)
    node.start("borders", borders.run())
    dependencies = Dependencies(
        clock=clock,
        log=node.log,
        solver=solver,
        params=params,
        logs_of=lambda city: KafkaCityLogs(
            settings.kafka_url,
            identity,
            city,
            params.default_capacity,
            set_aside=set_aside.into(deciding, f"dispatch of {city}"),
        ),
        decision_log=decision_log,
        lessons=PostgresLessonStore(deciding, settings.shard_id),
        outbox_of=lambda city: PostgresOutbox(relaying, city),
        publisher=KafkaPublisher(results, identity),
        announcements=announcements,
        views_of=lambda city: [*views.of(city), ("borders", borders.exchange(city).run())],
        tick_period_ms=settings.tick_period_ms,
        forward=border_logs.forward,
    )
    slots = Slots(clock)
    shard = Shard(settings.shard_id, dependencies, slots)
    me = Member(settings.shard_id, settings.advertise or settings.listen, settings.expected_shards)
    lease = ShardLease(PostgresRouterStore(leasing), me, shard, slots, node.log)

    api = DispatchApi(shard, decision_log, solver.travel_of, params, clock, LentRiders(directory))
    await _serve(node, settings.listen, api, LoansApi(shard, lambda: borders.reach, border_logs, clock))
    node.start("lease", lease.run())
    node.on_stop("lease", lease.close)


async def _databases(node: Node, core_url: str) -> tuple[asyncpg.Pool, asyncpg.Pool, asyncpg.Pool]:
    """Migrate the database, and open a pool each for what decides, for the relays and for the lease: none waits for
    another's connections.
    """
    await prepare_router(core_url)
    await prepare(core_url)
    deciding = await connect_postgres(core_url, max_size=8, guarded=True)
    node.on_stop("postgres", deciding.close)
    relaying = await connect_postgres(core_url, max_size=4)
    node.on_stop("postgres of the relays", relaying.close)
    leasing = await connect_postgres(core_url, max_size=4)
    node.on_stop("postgres of the lease", leasing.close)
    return deciding, relaying, leasing


async def _serve(node: Node, listen: str, api: DispatchApi, loans: LoansApi) -> None:
    server = Server(
        listen,
        [SERVICE, BORDERS],
        [
            lambda s: add_DispatchServicer_to_server(api, s),
            lambda s: add_BordersServicer_to_server(loans, s),
        ],
        check=check_values,
    )
    await server.start()
    node.on_stop("grpc", server.stop)


@dataclass(frozen=True, slots=True)
class ViewTasks:
    """Tasks of every city that decide nothing: views, trails, housekeeping."""

    settings: DispatchSettings
    params: EngineParams
    clock: Clock
    identity: LogIdentity
    redis: Redis
    mongo: AsyncMongoClient[dict[str, Any]]
    pruner: RecordPruner
    log: structlog.stdlib.BoundLogger

    def of(self, city: LiveCity) -> Sequence[tuple[str, Coroutine[Any, Any, None]]]:
        """The views of one city, each to be run as a task."""
        log = self.log.bind(city=city.name, epoch=city.epoch)
        geo = ViewFollower("geo", RedisGeoView(self.redis), city, self.clock, GEO_PACE, log)
        lasts = MongoLastView(self.mongo, lambda riders: statuses(city, riders))
        last = ViewFollower("last", lasts, city, self.clock, LAST_PACE, log)
        capacity = self.params.default_capacity
        logs = KafkaCityLogs(self.settings.kafka_url, self.identity, city.name, capacity, low_latency=False)
        # With an archive it is the archive that says when a trail may expire.
        store = MongoTrailStore(self.mongo, None if self.settings.archive_url else self.settings.trail_ttl_h)
        trail = TrailFollower(city.ownership, logs, store, self.clock, log)
        house = run_housekeeping(city.name, self.pruner, log)
        return [("geo", geo.run()), ("last", last.run()), ("trail", trail.run()), ("housekeeping", house)]


def _directory(node: Node, settings: DispatchSettings) -> Directory:
    directory = Directory(settings.router_address, node.log)
    node.on_stop("directory", directory.close)
    # Not waited for: a shard decides without the router.
    node.start("directory", directory.run())
    return directory


async def _producer(node: Node, settings: DispatchSettings) -> AIOKafkaProducer:
    results = producer(settings.kafka_url)
    await results.start()
    node.on_stop("producer", results.stop)
    return results


def travel_settings(settings: DispatchSettings) -> TravelSettings:
    """The travel models that the settings name."""
    return TravelSettings(
        settings.travel, settings.travel_by_city, settings.roads_file, settings.planar_metres_per_minute
    )
