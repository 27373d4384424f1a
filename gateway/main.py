"""The HTTP process of the gateway."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import grpc.aio
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.adapters.redis_limits import RedisLimits
from gateway.api import openapi, pages
from gateway.api.app import HttpApi, cacheable
from gateway.api.catalog import CatalogApi
from gateway.api.orders import OrdersApi
from gateway.config import HttpSettings, address
from node.http_server import HttpServer
from node.lifecycle import Node, run
from node.rpc import CALLER_OPTIONS
from node.settings import load
from node.tokens import TokenSigner, TokenVerifier
from shard_router.cities.border_follower import BorderFollower
from shard_router.cities.catalogue import load_cities
from shard_router.client import Directory

#: A limit that takes longer than this to check is not worth it, wall seconds.
LIMIT_DEADLINE_S = 0.1


def main() -> int:
    settings = load(HttpSettings)
    if settings.jwt_jwks_file is None or settings.jwt_private_key_file is None:
        raise SystemExit("FORNO_JWT_JWKS_FILE and FORNO_JWT_PRIVATE_KEY_FILE: the gateway checks and signs tokens")
    verifier, signer = TokenVerifier(settings.jwt_jwks_file), TokenSigner(settings.jwt_private_key_file)
    jwks_file = settings.jwt_jwks_file
    clock = settings.clock()

    async def boot(node: Node) -> None:
        redis = Redis.from_url(
            settings.redis_url, socket_timeout=LIMIT_DEADLINE_S, socket_connect_timeout=LIMIT_DEADLINE_S
        )
        node.on_stop("redis", redis.aclose)
        channel = grpc.aio.insecure_channel(settings.orders_address, options=CALLER_OPTIONS)
        node.on_stop("orders", channel.close)
        directory = Directory(settings.router_address, node.log)
        node.on_stop("directory", directory.close)
        await directory.start()
        node.start("directory", directory.run())

        limits = RedisLimits(redis, clock, settings.limit_per_s, settings.limit_burst, node.log)
        borders = {city.slug: city.border() for city in load_cities()}
        follower = BorderFollower(
            settings.router_address,
            directory,
            lambda cities: borders.update((city.slug, city.border()) for city in cities),
            node.log,
        )
        node.on_stop("borders", follower.close)
        node.start("borders", follower.run())
        orders = OrdersApi(
            channel,
            lambda city: directory.entry(city).currency,
            signer,
            settings.live_url,
            settings.tracking_token_ttl_s,
        )
        roads = settings.roads_geojson
        basemap = roads is not None and roads.exists()
        catalog = CatalogApi(lambda: directory.map, borders, follower.loaded.is_set, settings.live_url, clock, basemap)
        endpoints = [*orders.endpoints(), *catalog.endpoints()]
        files = pages.routes(settings.web_dir, roads, jwks_file, settings.live_url)
        document = openapi.document(endpoints, importlib.metadata.version("forno"))
        app = HttpApi(verifier, limits, clock, node.log).app(endpoints, [openapi_route(document), *files])
        server = HttpServer(app, *address(settings.listen))
        node.log.info("listening", port=server.port)
        node.start("http", server.run())

    return run("gateway", settings, boot)


def openapi_route(document: Mapping[str, Any]) -> BaseRoute:
    """`/openapi.json`."""
    body = openapi.encoded(document)

    async def answer(request: Request) -> Response:
        return cacheable(request, body, "application/json", "public, max-age=300")

    return Route("/openapi.json", answer)


if __name__ == "__main__":
    raise SystemExit(main())
