"""The WebSocket process of the gateway."""

from __future__ import annotations

import grpc.aio

from gateway.config import LiveSettings, address
from gateway.live.adapters.kitchens import ServiceKitchens
from gateway.live.adapters.redis_feed import RedisFeed
from gateway.live.adapters.services import ServiceOrders, ServiceStreams
from gateway.live.fan_out import FanOut
from gateway.live.hub import Hub
from gateway.live.kitchen.hub import KitchenHub
from gateway.live.map_view import map_view
from gateway.live.operator_view import OperatorHub
from gateway.live.server import LiveServer
from node.lifecycle import Node, run
from node.rpc import CALLER_OPTIONS
from node.settings import load
from node.tokens import TokenVerifier
from shard_router.client import Directory


def main() -> int:
    settings = load(LiveSettings)
    if settings.jwt_jwks_file is None:
        raise SystemExit("FORNO_JWT_JWKS_FILE: live tracking checks tokens")
    verifier = TokenVerifier(settings.jwt_jwks_file)
    clock = settings.clock()
    line = {
        "speed": clock.speed,
        "anchor_wall_ms": clock.anchor_wall_ms,
        "anchor_domain_ms": clock.anchor_domain_ms,
    }

    async def boot(node: Node) -> None:
        channel = grpc.aio.insecure_channel(settings.orders_address, options=CALLER_OPTIONS)
        node.on_stop("orders", channel.close)
        directory = Directory(settings.router_address, node.log)
        node.on_stop("directory", directory.close)
        await directory.start()
        node.start("directory", directory.run())
        feed = RedisFeed(settings.redis_url, node.log)
        node.on_stop("redis", feed.close)

        hub = Hub(
            ServiceOrders(channel, directory),
            feed,
            clock,
            line,
            node.log,
            poll_s=settings.live_poll_s,
            polls_per_s=settings.live_polls_per_s,
        )
        ops = OperatorHub(ServiceStreams(directory), feed, lambda: map_view(directory.map), hub.ages, line, node.log)
        kitchens = KitchenHub(ServiceKitchens(channel), clock, line, node.log)
        node.start("orders", hub.run())
        node.start("kitchens", kitchens.run())
        node.start("ops", ops.run())
        node.start("feed", feed.run(FanOut(hub, ops)))
        server = LiveServer(
            hub,
            ops,
            kitchens,
            verifier,
            node.log,
            max_sockets=settings.live_max_sockets,
            max_sockets_per_token=settings.live_max_sockets_per_token,
        )
        await server.start(*address(settings.listen))
        node.log.info("listening", port=server.port)
        node.on_stop("sockets", server.close)

    return run("gateway-live", settings, boot)


if __name__ == "__main__":
    raise SystemExit(main())
