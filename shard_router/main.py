"""Process of the shard router: serves the map of cities, moves and applies plans."""

from __future__ import annotations

from functools import partial

from node import postgres
from node.lifecycle import Node, run
from node.rpc import Server
from node.settings import load
from proto.shard_router.v1.borders_pb2_grpc import add_CityBordersServicer_to_server
from proto.shard_router.v1.shard_router_pb2_grpc import add_ShardRouterServicer_to_server
from shard_router.adapters.postgres import PostgresRouterStore, prepare
from shard_router.audit.checks import audit
from shard_router.cities.adapters.postgres import PostgresBorders
from shard_router.cities.catalogue import City, load_cities
from shard_router.cities.document import MAX_MESSAGE_BYTES
from shard_router.cities.grpc_api import SERVICE as BORDERS
from shard_router.cities.grpc_api import BordersApi
from shard_router.config import RouterSettings
from shard_router.grpc_api import MapFeed, ShardRouterApi
from shard_router.plans.adapters.postgres import PostgresPlanStore
from shard_router.plans.runner import PlanRunner
from shard_router.request_checks import check_request
from shard_router.topology import CityEntry


def entries(wanted: str) -> list[CityEntry]:
    """The map's entries of the wanted cities; a city's partition is its place in the catalogue that ships."""
    catalogue = list(load_cities())
    names = [city.slug for city in catalogue] if wanted == "all" else [name.strip() for name in wanted.split(",")]
    unknown = set(names) - {city.slug for city in catalogue}
    if unknown:
        raise SystemExit(f"FORNO_CITIES: no city {', '.join(sorted(unknown))} in the catalogue")
    return [_entry(number, city) for number, city in enumerate(catalogue) if city.slug in names]


def _entry(partition: int, city: City) -> CityEntry:
    lat_e7, lng_e7 = city.center_e7
    return CityEntry(city.slug, city.name, partition, city.time_zone, city.currency, lat_e7, lng_e7)


def main() -> int:
    settings = load(RouterSettings)

    async def boot(node: Node) -> None:
        await prepare(settings.core_url)
        pool = await postgres.connect(settings.core_url)
        node.on_stop("postgres", pool.close)
        store = PostgresRouterStore(pool)
        await store.ensure_cities(entries(settings.cities))
        feed = MapFeed(store, node.log)
        node.start("map", feed.run())
        plans = PostgresPlanStore(pool)
        node.start("plans", PlanRunner(store, plans, node.log).run())
        api = ShardRouterApi(store, plans, feed, partial(audit, settings.core_url))
        borders = BordersApi(PostgresBorders(pool, load_cities()))
        server = Server(
            settings.listen,
            ["shard_router.v1.ShardRouter", BORDERS],
            [
                lambda grpc_server: add_ShardRouterServicer_to_server(api, grpc_server),
                lambda grpc_server: add_CityBordersServicer_to_server(borders, grpc_server),
            ],
            max_request_bytes=MAX_MESSAGE_BYTES,
            check=check_request,
        )
        node.on_stop("grpc", server.stop)
        await server.start()

    return run("shard_router", settings, boot)


if __name__ == "__main__":
    raise SystemExit(main())
