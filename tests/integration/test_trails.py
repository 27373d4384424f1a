"""The trails process on real servers: it archives what is old enough, and answers from both, over gRPC and `forno`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from deploy.stack.ports import Ports
from deploy.stack.stack import LocalStack
from dispatch.logs.cut import Cut
from dispatch.trails.adapters.mongo import MongoTrailStore
from dispatch.trails.adapters.parquet import ParquetArchive
from dispatch.trails.model import HOUR_MS
from node import mongo
from node.rpc import fault_of
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import trails_pb2 as pb
from proto.dispatch.v1.trails_pb2_grpc import TrailsStub
from proto.fix_columns import FixColumns
from tests.integration.tracking_world import process
from tests.unit.dispatch.shard.worlds import BIG_RIDER, DOWNTOWN
from tests.unit.dispatch.trails.worlds import straight


async def test_trails_are_archived_and_asked_for(stack: LocalStack, tmp_path: Path) -> None:
    """A ride of this morning goes to Parquet, one of a minute ago does not; both are answered."""
    city = f"city-{uuid.uuid4().hex[:8]}"
    old_ms, new_ms = (int(time.time() * 1000) // HOUR_MS - 6) * HOUR_MS + 60_000, int(time.time() * 1000) - 90_000
    client = mongo.connect(stack.env["FORNO_MONGO_URL"])
    store = MongoTrailStore(client, None)
    rides = [straight(60, 8.0, rider=BIG_RIDER, begin_ms=begin_ms) for begin_ms in (old_ms, new_ms)]
    for number, ride in enumerate(rides):
        ride.session[:] = number + 1
    await store.write(city, 1, FixColumns.concat(rides))
    await store.advance(city, 1, Cut("log", 0, 1, 0))
    archive = ParquetArchive(str(tmp_path))
    with Ports() as ports:
        address = f"127.0.0.1:{ports.take()}"
        env = {**stack.env, "FORNO_ARCHIVE_URL": str(tmp_path)}
        async with process("dispatch.trails.main", address, env), grpc.aio.insecure_channel(address) as channel:
            async with asyncio.timeout(30):
                while await asyncio.to_thread(archive.read, city, old_ms // HOUR_MS) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert archive.hours(city) == [old_ms // HOUR_MS]
            # As if its 24 hours were over.
            gone = await client["forno"]["rider_trail"].delete_many({"city": city, "minute": {"$lt": new_ms // 60_000}})
            assert gone.deleted_count == 1
            await asked(TrailsStub(channel), city, old_ms, new_ms)
        told = await forno(env, "where", "--city", city, "--rider", str(BIG_RIDER), "--at", str(old_ms + 30_000))
        assert told["rider_id"] == BIG_RIDER
        assert abs(told["lat_e7"] - DOWNTOWN.lat_e7 - 240 * 89.93) < 600
    await client["forno"]["rider_trail"].delete_many({"city": city})
    await client["forno"]["trail_cuts"].delete_one({"_id": city})
    await client.close()


async def asked(stub: Any, city: str, old_ms: int, new_ms: int) -> None:
    """The three questions, of then and of now, and one that has no answer."""
    for begin_ms, error_m in ((old_ms, 5.0), (new_ms, 0.0)):
        where = (await stub.Where(pb.WhereRequest(city=city, rider_id=BIG_RIDER, at_ms=begin_ms + 30_500))).where
        assert where.error_m == error_m
        assert abs((where.at.lat_e7 - DOWNTOWN.lat_e7) / 89.93 - 244) < 6
        here = LatLng(lat_e7=DOWNTOWN.lat_e7, lng_e7=DOWNTOWN.lng_e7)
        near = pb.NearRequest(city=city, at=here, at_ms=begin_ms + 10_000, radius_m=200, limit=5)
        assert [one.where.rider_id for one in (await stub.Near(near)).riders] == [BIG_RIDER]
        driven = await stub.Distance(
            pb.DistanceRequest(city=city, rider_id=BIG_RIDER, from_ms=begin_ms, to_ms=begin_ms + 59_000)
        )
        assert abs(driven.distance_m - 59 * 8) < 2
    with pytest.raises(grpc.aio.AioRpcError) as unheard:
        await stub.Where(pb.WhereRequest(city=city, rider_id=5, at_ms=old_ms))
    assert fault_of(unheard.value).reason == "NOT_HEARD_OF"


async def forno(env: dict[str, str], *words: str) -> dict[str, Any]:
    """Run `forno trails … --json`; its answer."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "node.cli", "trails", *words, "--json"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **env},
    )
    said, _ = await running.communicate()
    assert running.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found
