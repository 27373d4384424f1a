"""The riders' edge: `python -m tracking.main`. Several processes may listen on one port (SO_REUSEPORT).

Boot: directory -> Kafka -> Redis -> edge -> gRPC. Stop, in reverse: riders are asked to connect again and what they
sent is made durable and acknowledged, then gRPC ends, then the connections close.
"""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from node import kafka
from node.lifecycle import Node, run
from node.rpc import Server
from node.settings import load
from node.tokens import TokenVerifier
from shard_router.client import Directory
from tracking.adapters.dispatch import OwnerOffers, RouterPartitions
from tracking.adapters.kafka import KafkaEventLog, KafkaFixLog
from tracking.adapters.redis import RedisWakes
from tracking.config import EdgeSettings
from tracking.engine.edge import Edge
from tracking.engine.limits import Limits
from tracking.grpc_api import SERVICE, RiderLinkApi
from tracking.ports import EdgePorts

#: What was received has so long to become durable when the process stops, wall seconds.
DRAIN_S = 4.0


async def boot(node: Node, settings: EdgeSettings) -> None:
    """Starts the parts in order."""
    if settings.jwt_jwks_file is None:
        raise ValueError("FORNO_JWT_JWKS_FILE: the edge needs the keys that riders' tokens are checked against")
    tokens = TokenVerifier(settings.jwt_jwks_file)
    clock = settings.clock()

    directory = Directory(settings.router_address, node.log)
    node.on_stop("directory", directory.close)
    await directory.start()
    node.start("directory", directory.run())

    producer = kafka.producer(settings.kafka_url, linger_ms=0)
    await producer.start()
    node.on_stop("kafka", producer.stop)
    redis = Redis.from_url(settings.redis_url)
    node.on_stop("redis", redis.aclose)

    ports = EdgePorts(
        partitions=RouterPartitions(directory),
        fixes=KafkaFixLog(producer, settings.edge_id, clock),
        events=KafkaEventLog(producer, clock),
        offers=OwnerOffers(directory),
    )
    limits = Limits(clock_speed=settings.clock_speed)
    edge = Edge(ports, clock, limits, node.log, linger_ms=settings.edge_linger_ms)
    node.start("edge", edge.run())
    node.start("offers", edge.task_sync.run())
    node.start("wakes", edge.task_sync.run_wakes(RedisWakes(redis, node.log)))

    server = Server(settings.listen, [SERVICE], [RiderLinkApi(edge, tokens, node.log).add_to])

    async def drain() -> None:
        await asyncio.gather(edge.drain(DRAIN_S), server.stop(DRAIN_S + 1.0))
        edge.stop()

    await server.start()
    node.on_stop("streams", drain)
    node.log.info("edge listens", address=settings.listen, edge_id=settings.edge_id)


def main() -> int:
    """Runs until told to stop."""
    settings = load(EdgeSettings)
    return run("tracking", settings, lambda node: boot(node, settings))


if __name__ == "__main__":
    raise SystemExit(main())
