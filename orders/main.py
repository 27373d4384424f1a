"""The order service: `python -m orders.main`.

Boot: migrations and partitions of every database, the city map, Kafka, relays and listener, then gRPC. It stops the
other way round: no new calls, then the loops, then the connections.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import asyncpg
from redis.asyncio import Redis

from node import kafka, postgres
from node.lifecycle import Node, run
from node.rpc import Server
from node.settings import load
from orders.archive.cold import ColdOrders
from orders.archive.files import Files
from orders.archive.nightly import NightlyArchive
from orders.archive.reads import ArchivedOrders
from orders.config import OrdersSettings
from orders.ids import OrderIds
from orders.kitchen.adapters.postgres import PostgresKitchens
from orders.kitchen.desk import KitchenDesk
from orders.kitchen.grpc_api import SERVICE as KITCHENS
from orders.kitchen.grpc_api import KitchensApi
from orders.kitchen.patience import Patience
from orders.kitchen.terms import KitchenBook
from orders.messaging.publisher import KafkaPublisher
from orders.messaging.relay import Relay, Send
from orders.ordering.adapters.cities import MappedCities, ShardEstimates
from orders.ordering.adapters.listener import Listener, listen
from orders.ordering.adapters.postgres import SCHEMAS, PostgresOrders
from orders.ordering.adapters.recent_index import RecentIndex
from orders.ordering.adapters.replicas import ReplicatedOrders
from orders.ordering.adapters.sharded import ShardedOrders
from orders.ordering.cache.redis_recent import RedisRecent
from orders.ordering.cache.store import CachedOrders
from orders.ordering.engine import OrderDesk
from orders.ordering.grpc_api import SERVICE, OrdersApi
from orders.ordering.ports import OrderStore
from orders.ordering.sweeper import Sweeper
from orders.ranges import RangeMap
from orders.upkeep import Upkeep
from proto.orders.v1.kitchen_pb2_grpc import add_KitchensServicer_to_server
from proto.orders.v1.orders_pb2_grpc import add_OrdersServicer_to_server
from shard_router.borders import BorderFollower
from shard_router.cities import CityLookup, load_cities
from shard_router.client import Directory


async def boot(node: Node, settings: OrdersSettings) -> None:
    """Puts the parts together."""
    clock, log = settings.clock(), node.log
    ranges = RangeMap.parse(settings.orders_ranges)

    directory = Directory(settings.router_address, log)
    node.on_stop("directory", directory.close)
    await directory.start()
    node.start("directory", directory.run())
    cities = MappedCities(directory)

    producer = kafka.producer(settings.kafka_url)
    await producer.start()
    node.on_stop("producer", producer.stop)
    send = KafkaPublisher(producer, cities.partition)

    stores, pools = await _databases(node, settings, ranges, send)
    parts = await _parts(node, settings, stores, pools)
    # Each database has its own: one that is away holds up no other.
    for own in ranges.ranges:
        name, part = own.database, parts[own.database]
        node.start(f"listener {name}", listen(settings.kafka_url, Listener(part, own, log), pools[name], log))
        node.start(f"sweeper {name}", Sweeper(name, part, clock, log).run())
        node.start(f"patience {name}", Patience(part, settings.kitchen_patience_s, clock, log).run())
    orders = ShardedOrders(ranges, parts)
    recent = [RecentIndex(settings.database(name), clock) for name in stores]
    node.start("upkeep", Upkeep(list(stores.values()), recent, log).run())
    if settings.archive_nightly:
        node.start("archive", NightlyArchive(clock, log).run())

    kitchens = PostgresKitchens(ranges, pools, clock, log)
    book = KitchenBook(kitchens, settings.asked_cities, cities.hour, clock, log)

    estimates = ShardEstimates(directory, log)
    lookup = CityLookup(load_cities())
    borders = BorderFollower(settings.router_address, directory, lookup.replace, log)
    node.on_stop("borders", borders.close)
    node.start("borders", borders.run())
    desk = OrderDesk(orders, estimates, OrderIds(clock.wall_ms), clock, lookup, book)
    api = OrdersApi(desk, cities, clock)
    kitchens_api = KitchensApi(KitchenDesk(orders, kitchens, book, clock, cities.city), clock)
    server = Server(
        settings.listen,
        [SERVICE, KITCHENS],
        [
            lambda grpc_server: add_OrdersServicer_to_server(api, grpc_server),
            lambda grpc_server: add_KitchensServicer_to_server(kitchens_api, grpc_server),
        ],
    )
    node.on_stop("grpc", server.stop)
    await server.start()


async def _databases(
    node: Node, settings: OrdersSettings, ranges: RangeMap, send: Send
) -> tuple[dict[str, PostgresOrders], dict[str, asyncpg.Pool]]:
    """Every database: brought up to date, its outbox relayed."""
    clock, log = settings.clock(), node.log
    stores, pools = {}, {}
    for own in ranges.ranges:
        url = settings.database(own.database)
        for schema in SCHEMAS:
            await postgres.migrate(url, schema.package, schema.folder)
        pool = await postgres.connect(url, max_size=settings.orders_pool)
        node.on_stop(own.database, pool.close)
        relay = Relay(send, log)
        store = PostgresOrders(pool, clock, relay.wake)
        await store.claim_range(own)
        await store.make_partitions()
        stores[own.database], pools[own.database] = store, pool
        node.start(f"relay {own.database}", relay.run(store.outbox))
    return stores, pools


async def _parts(
    node: Node, settings: OrdersSettings, stores: Mapping[str, PostgresOrders], pools: Mapping[str, asyncpg.Pool]
) -> dict[str, OrderStore]:
    """Each database behind its archive, its replica where that will do, and the cache."""
    clock, log = settings.clock(), node.log
    cold = ColdOrders(Files.at(settings.archive_url))
    redis = Redis.from_url(settings.redis_url) if settings.orders_cache else None
    if redis is not None:
        node.on_stop("cache", redis.aclose)
    parts: dict[str, OrderStore] = {}
    for name, primary in stores.items():
        store: OrderStore = primary
        if settings.orders_replica_url:
            url = settings.replica(name)
            replica = await postgres.connect(url, max_size=settings.orders_pool, min_size=0)
            node.on_stop(f"replica of {name}", replica.close)
            replicated = ReplicatedOrders(
                primary, (pools[name], replica), settings.orders_replica_max_age_s, clock, log
            )
            node.start(f"replica of {name}", replicated.run())
            store = replicated
        store = ArchivedOrders(store, pools[name], cold)
        if redis is not None:
            # One cache for all, but each database doubts it for itself.
            store = CachedOrders(store, RedisRecent(redis, settings.orders_cache, clock, log))
        parts[name] = store
    return parts


def main() -> int:
    """Runs the service."""
    settings = load(OrdersSettings)
    return run("orders", settings, lambda node: boot(node, settings))


if __name__ == "__main__":
    sys.exit(main())
