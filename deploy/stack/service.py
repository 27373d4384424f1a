"""A Forno service as a part of the stack: its command, its address, its health check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from typing import Literal

import grpc.aio
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.stack.part import Command, NotReady, Part

_CHECK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """One process of Forno. The stack chooses where it listens and tells it as `FORNO_LISTEN`."""

    name: str
    argv: tuple[str, ...]
    #: How it says that it serves: the gRPC health service, or GET /healthz.
    health: Literal["grpc", "http"]
    #: The parts that must be healthy before it starts.
    needs: tuple[str, ...] = ("redis", "postgres", "kafka", "mongo")
    #: Settings of its own.
    env: Mapping[str, str] = field(default_factory=dict)
    #: The settings by which all services find it: name -> value, in which `{listen}` is its `host:port`.
    announces: Mapping[str, str] = field(default_factory=dict)


class ServicePart(Part):
    """Runs a Service on a loopback port."""

    kind = "service"
    #: A shard that takes cities over replays their logs first.
    ready_within_s = 90.0

    def __init__(self, service: Service, port: int, metrics_port: int) -> None:
        super().__init__()
        self._service = service
        #: Where it answers Prometheus.
        self.metrics = f"127.0.0.1:{metrics_port}"
        self._listen = f"127.0.0.1:{port}"
        self.name = service.name
        self.needs = service.needs
        self.address = f"http://{self._listen}" if service.health == "http" else self._listen
        self.announced = {key: value.format(listen=self._listen) for key, value in service.announces.items()}

    def command(self) -> Command:
        # Unbuffered: a log file that lacks the last words before a crash is of no use.
        own = {"FORNO_LISTEN": self._listen, "FORNO_METRICS_ADDRESS": self.metrics, "PYTHONUNBUFFERED": "1"}
        return Command(self._service.argv, {**own, **self._service.env})

    async def check(self) -> str:
        if self._service.health == "http":
            await _http_health(self.address)
        else:
            await _grpc_health(self._listen)
        return package_version("forno")


async def _grpc_health(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_CHECK_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise NotReady(f"{error.code().name}: {error.details()}") from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        raise NotReady(f"{status}: its log says what it waits for")


async def _http_health(url: str) -> None:
    async with httpx.AsyncClient(timeout=_CHECK_TIMEOUT_S, trust_env=False) as client:
        try:
            answer = await client.get(f"{url}/healthz")
        except httpx.HTTPError as error:
            raise NotReady(repr(error)) from error
    if not answer.is_success:
        raise NotReady(f"HTTP {answer.status_code}: {answer.text[:200]}")
