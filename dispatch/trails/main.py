"""The trails process: `python -m dispatch.trails.main`. Answers questions about trails and compacts them.

A process of its own: simplifying an hour of a big city takes seconds of CPU that no shard may lose. Nothing needs it
to run: without it questions are not answered, and trails stay hot until it is back.
"""

from __future__ import annotations

from dispatch.trails.adapters.mongo_history import MongoHotTrails, MongoOpenHours
from dispatch.trails.adapters.parquet import ParquetArchive
from dispatch.trails.compactor import Compactor
from dispatch.trails.config import TrailSettings
from dispatch.trails.grpc_api import SERVICE, TrailsApi, check_question
from dispatch.trails.service import TrailService
from node.lifecycle import Node, run
from node.mongo import connect
from node.rpc import Server
from node.settings import load
from proto.dispatch.v1.trails_pb2_grpc import add_TrailsServicer_to_server


async def boot(node: Node, settings: TrailSettings) -> None:
    """Starts the parts in order."""
    mongo = connect(settings.mongo_url)
    node.on_stop("mongo", mongo.close)
    archive = ParquetArchive(settings.archive_url) if settings.archive_url else None
    if archive is not None:
        compactor = Compactor(
            MongoOpenHours(mongo),
            archive,
            settings.clock(),
            node.log,
            error_m=settings.trail_error_m,
            keep_h=settings.trail_ttl_h,
            late_ms=settings.trail_late_min * 60_000,
        )
        node.start("compactor", compactor.run())
    hot, clock = MongoHotTrails(mongo), settings.clock()
    api = TrailsApi(TrailService(hot, archive, clock, error_m=settings.trail_error_m, keep_h=settings.trail_ttl_h))
    server = Server(settings.listen, [SERVICE], [lambda s: add_TrailsServicer_to_server(api, s)], check=check_question)
    await server.start()
    node.on_stop("grpc", server.stop)


def main() -> int:
    """Runs until told to stop."""
    settings = load(TrailSettings)
    return run("trails", settings, lambda node: boot(node, settings))


if __name__ == "__main__":
    raise SystemExit(main())
