"""The order service: `python -m orders.main`.

`boot` is written in the order in which the parts start: the city map, Kafka, every database, its loops, then gRPC. They
stop the other way round: no new calls, then the loops, then the connections.
"""

from __future__ import annotations

import sys

import asyncpg
from redis.asyncio import Redis

from node import kafka, postgres, set_aside
from node.lifecycle import Node, run
from node.outbox.message import Message, Publisher
from node.outbox.postgres import PostgresOutbox
from node.outbox.publisher import KafkaPublisher
from node.outbox.relay import Relay
from node.rpc import Server
from node.settings import load
from orders.archive.files import ArchiveFiles
from orders.archive.nightly import NightlyArchive
from orders.archive.parquet_orders import ParquetOrders
from orders.archive.reads import ArchivedReads
from orders.config import OrdersSettings
from orders.ids import OrderIds
from orders.kitchen.adapters.postgres import PostgresKitchens
from orders.kitchen.answer_timeout import AnswerTimeout
from orders.kitchen.grpc_api import SERVICE as KITCHENS
from orders.kitchen.grpc_api import KitchensApi
from orders.kitchen.known_kitchens import KnownKitchens
from orders.kitchen.service import KitchenService
from orders.ordering.adapters.cities import MappedCities, ShardEstimates
from orders.ordering.adapters.listener import SOURCES, listener
from orders.ordering.adapters.postgres.database import OrderDatabase
from orders.ordering.adapters.postgres.decisions import PostgresDecisions
from orders.ordering.adapters.postgres.reads import PostgresReads
from orders.ordering.adapters.postgres.recent_index import RecentIndex
from orders.ordering.adapters.postgres.schema import SCHEMAS
from orders.ordering.adapters.postgres.stuck import PostgresStuckOrders
from orders.ordering.adapters.replica_reads import ReplicaReads
from orders.ordering.cache.reads import CachedReads, CacheInvalidation
from orders.ordering.cache.redis_recent import RedisRecent
from orders.ordering.grpc_api import SERVICE, OrdersApi
from orders.ordering.observers import WriteObserver, WriteObservers
from orders.ordering.ports import OrderReads
from orders.ordering.service import OrderService
from orders.ordering.store import OrderStore
from orders.ordering.sweeper import Sweeper
from orders.ordering.upkeep import OrderUpkeep
from orders.ranges import ByRange, Range, RangeMap
from proto.orders.v1.kitchen_pb2_grpc import add_KitchensServicer_to_server
from proto.orders.v1.orders_pb2_grpc import add_OrdersServicer_to_server
from shard_router.cities.border_follower import BorderFollower
from shard_router.cities.catalogue import CityLookup, load_cities
from shard_router.client import Directory


async def boot(node: Node, settings: OrdersSettings) -> None:
    """Start the parts and connect them."""
    clock, log = settings.clock(), node.log
    directory = await _directory(node, settings)
    cities = MappedCities(directory)
    publisher = await _publisher(node, settings, cities)

    ranges = RangeMap.parse(settings.orders_ranges)
    redis = _cache(node, settings)
    pools, stores = {}, {}
    for own in ranges.ranges:
        pools[own.database] = pool = await _database(node, settings, own)
        relay = await _relay(node, settings, own.database, publisher)
        stores[own.database] = await _store(node, settings, own.database, pool, relay, redis)
    # Each database has loops of its own: one that is away holds up no other.
    for own in ranges.ranges:
        _saga(node, settings, own, pools[own.database], stores[own.database])
    databases = [OrderDatabase(pool, clock) for pool in pools.values()]
    indexes = [RecentIndex(settings.database(name), clock) for name in pools]
    node.start("upkeep", OrderUpkeep(databases, indexes, log).run())
    if settings.archive_nightly:
        node.start("archive", NightlyArchive(clock, log).run())

    lookup, borders = _borders(node, settings, directory)
    by_range = ByRange(ranges, stores)
    kitchens = PostgresKitchens(ByRange(ranges, pools), clock, log)
    known = KnownKitchens(kitchens, settings.asked_cities, cities.hour, clock, log)
    orders = OrderService(
        by_range,
        ShardEstimates(directory, log),
        OrderIds(clock.wall_ms),
        clock,
        lookup,
        known,
    )
    orders_api = OrdersApi(orders, cities, clock)
    kitchens_api = KitchensApi(KitchenService(by_range, kitchens, known, clock, cities.city), clock)
    server = Server(
        settings.listen,
        [SERVICE, KITCHENS],
        [
            lambda grpc_server: add_OrdersServicer_to_server(orders_api, grpc_server),
            lambda grpc_server: add_KitchensServicer_to_server(kitchens_api, grpc_server),
        ],
    )
    node.on_stop("grpc", server.stop)
    await server.start(loaded=borders.loaded.wait())


async def _directory(node: Node, settings: OrdersSettings) -> Directory:
    """Follow the map of the cities; wait for the first one."""
    directory = Directory(settings.router_address, node.log)
    node.on_stop("directory", directory.close)
    await directory.start()
    node.start("directory", directory.run())
    return directory


async def _publisher(node: Node, settings: OrdersSettings, cities: MappedCities) -> Publisher:
    """Connect to Kafka."""
    producer = kafka.producer(settings.kafka_url)
    await producer.start()
    node.on_stop("producer", producer.stop)
    identity = kafka.LogIdentity(settings.kafka_url)
    node.on_stop("log identity", identity.close)

    def partition_of(message: Message) -> int | None:
        return cities.partition(message.city) if message.city else None

    return KafkaPublisher(producer, identity, partition_of)


def _cache(node: Node, settings: OrdersSettings) -> Redis | None:
    """The Redis of the cache, shared by all databases; None when nothing is cached."""
    if not settings.orders_cache:
        return None
    redis = Redis.from_url(settings.redis_url)
    node.on_stop("cache", redis.aclose)
    return redis


async def _database(node: Node, settings: OrdersSettings, own: Range) -> asyncpg.Pool:
    """Bring a database up to date and claim its range."""
    url = settings.database(own.database)
    for schema in SCHEMAS:
        await postgres.migrate(url, schema.package, schema.folder)
    pool = await postgres.connect(url, max_size=settings.orders_pool)
    node.on_stop(own.database, pool.close)
    database = OrderDatabase(pool, settings.clock())
    await database.claim_range(own)
    await database.make_partitions()
    return pool


async def _relay(node: Node, settings: OrdersSettings, database: str, publisher: Publisher) -> Relay:
    """Start the relay of a database's outbox, on a connection that nobody needs for deciding: it keeps it for as long
    as Kafka takes.
    """
    pool = await postgres.connect(settings.database(database), max_size=1)
    node.on_stop(f"relay's connection to {database}", pool.close)
    relay = Relay(PostgresOutbox(pool), publisher, node.log)
    node.start(f"relay {database}", relay.run())
    return relay


async def _store(
    node: Node, settings: OrdersSettings, database: str, pool: asyncpg.Pool, relay: Relay, redis: Redis | None
) -> OrderStore:
    """Reads go through the cache, the archive and the replica to the rows; all else to the rows alone.

    The cache and the replica observe the decisions, so that whoever wrote reads what was written.
    """
    clock, log = settings.clock(), node.log
    reads: OrderReads = PostgresReads(pool)
    observers: list[WriteObserver] = []
    if settings.orders_replica_url:
        replica_pool = await postgres.connect(settings.replica(database), max_size=settings.orders_pool, min_size=0)
        node.on_stop(f"replica of {database}", replica_pool.close)
        reads = replica = ReplicaReads(pool, replica_pool, settings.orders_replica_max_age_s, clock, log)
        node.start(f"replica of {database}", replica.run())
        observers.append(replica)
    reads = ArchivedReads(reads, pool, ParquetOrders(ArchiveFiles.at(settings.archive_url)))
    if redis is not None:
        # One Redis for all, but each database doubts it for itself.
        recent = RedisRecent(redis, settings.orders_cache, clock, log)
        reads = CachedReads(reads, recent)
        observers.append(CacheInvalidation(recent))
    decisions = PostgresDecisions(pool, clock, relay.wake, WriteObservers(tuple(observers)))
    return OrderStore(reads, decisions, PostgresStuckOrders(pool, relay.wake))


def _saga(node: Node, settings: OrdersSettings, own: Range, pool: asyncpg.Pool, store: OrderStore) -> None:
    """Start what moves the orders of a database on: events, and those that wait for too long."""
    clock, log, name = settings.clock(), node.log, own.database
    events = listener(store.decisions, own, set_aside.into(pool, "orders"), log)
    node.start(f"listener {name}", events.run(settings.kafka_url, tuple(SOURCES), pool))
    node.start(f"sweeper {name}", Sweeper(name, store.decisions, store.stuck, clock, log).run())
    timeout = AnswerTimeout(store.decisions, store.stuck, settings.kitchen_patience_s, clock, log)
    node.start(f"answer timeout {name}", timeout.run())


def _borders(node: Node, settings: OrdersSettings, directory: Directory) -> tuple[CityLookup, BorderFollower]:
    """Lookup of a place's city, kept up to date with the borders."""
    lookup = CityLookup(load_cities())
    borders = BorderFollower(settings.router_address, directory, lookup.replace, node.log)
    node.on_stop("borders", borders.close)
    node.start("borders", borders.run())
    return lookup, borders


def main() -> int:
    """Runs the service."""
    settings = load(OrdersSettings)
    return run("orders", settings, lambda node: boot(node, settings))


if __name__ == "__main__":
    sys.exit(main())
