"""The Forno services that `forno up` runs, in the order of the table."""

from __future__ import annotations

import sys

from deploy.stack.service import Service


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)


_SERVERS = ("redis", "postgres", "kafka", "mongo")
_SHARDS = ("shard-1", "shard-2")


def _shard(name: str) -> Service:
    env = {"FORNO_SHARD_ID": name, "FORNO_EXPECTED_SHARDS": str(len(_SHARDS))}
    return Service(name, _module("dispatch.main"), "grpc", (*_SERVERS, "router"), env)


SERVICES: tuple[Service, ...] = (
    Service(
        "router",
        _module("shard_router.main"),
        "grpc",
        needs=("postgres",),
        announces={"FORNO_ROUTER_ADDRESS": "{listen}"},
    ),
    *(_shard(name) for name in _SHARDS),
    Service(
        "trails",
        _module("dispatch.trails.main"),
        "grpc",
        needs=("mongo",),
        announces={"FORNO_TRAILS_ADDRESS": "{listen}"},
    ),
    Service(
        "tracking",
        _module("tracking.main"),
        "grpc",
        needs=("redis", "kafka", "router"),
        announces={"FORNO_TRACKING_ADDRESS": "{listen}"},
    ),
    Service(
        "payments",
        _module("orders.payments.main"),
        "grpc",
        needs=("postgres", "kafka"),
        announces={"FORNO_PAYMENTS_ADDRESS": "{listen}"},
    ),
    Service(
        "orders",
        _module("orders.main"),
        "grpc",
        needs=("postgres", "kafka", "router"),
        announces={"FORNO_ORDERS_ADDRESS": "{listen}"},
    ),
    Service(
        "gateway",
        _module("gateway.main"),
        "http",
        needs=("redis", "router", "orders"),
        announces={"FORNO_GATEWAY_URL": "http://{listen}"},
    ),
    Service(
        "live",
        _module("gateway.live.main"),
        "http",
        needs=("redis", "router", "orders"),
        announces={"FORNO_LIVE_URL": "ws://{listen}"},
    ),
)
