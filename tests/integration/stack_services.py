"""Two tiny services for the tests of the stack: `python -m tests.integration.stack_services grpc|http`."""

from __future__ import annotations

import asyncio
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio

from deploy.stack.service import Service

OVEN = Service(
    "oven",
    (sys.executable, "-m", "tests.integration.stack_services", "grpc"),
    "grpc",
    needs=("redis",),
    announces={"FORNO_OVEN_ADDRESS": "{listen}"},
)
#: Serves only when it was told where the oven is, and that the oven answers.
COUNTER = Service(
    "counter",
    (sys.executable, "-m", "tests.integration.stack_services", "http"),
    "http",
    needs=("oven",),
    env={"FORNO_SHARD_ID": "shard-7"},
)


async def serve_grpc(listen: str) -> None:
    """The gRPC health service, and nothing else."""
    server = grpc.aio.server()
    health = aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_insecure_port(listen)
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    await server.start()
    await server.wait_for_termination()


class Counter(BaseHTTPRequestHandler):
    """GET /healthz says what the stack told this process."""

    def do_GET(self) -> None:
        with grpc.insecure_channel(os.environ["FORNO_OVEN_ADDRESS"]) as channel:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
        told = (os.environ[name] for name in ("FORNO_SHARD_ID", "FORNO_KAFKA_URL", "FORNO_STATE_DIR"))
        self.wfile.write(" ".join(told).encode())


if __name__ == "__main__":
    host, _, port = os.environ["FORNO_LISTEN"].rpartition(":")
    if sys.argv[1] == "grpc":
        asyncio.run(serve_grpc(f"{host}:{port}"))
    HTTPServer((host, int(port)), Counter).serve_forever()
