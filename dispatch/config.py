"""Settings of a shard: `FORNO_<NAME>`, beside those of `node.settings`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from dispatch.shard.travel import TravelKind
from node.settings import NodeSettings


class DispatchSettings(NodeSettings):
    """Settings of one dispatch process, which is one shard."""

    listen: str = Field("127.0.0.1:7020", description="host:port of the gRPC server")
    advertise: str = Field("", description="host:port at which others reach it; empty: as it listens")
    shard_id: str = Field("shard-1", pattern="^[a-z0-9-]{1,63}$", description="name of the shard; no two may share one")
    expected_shards: int = Field(1, ge=1, description="shards that wait for each other on the very first start, 15 s")

    tick_period_ms: int = Field(1000, ge=50, le=10_000, description="wall time between two ticks of a city")
    solve_limit_ms: int = Field(800, ge=10, le=10_000, description="wall time a solve may take until greedy answers")

    travel: TravelKind = Field("free_flow", description="model of travel times: free_flow, learned, road or planar")
    travel_by_city: dict[str, TravelKind] = Field({}, description="cities with another model, as JSON by city")
    roads_file: Path | None = Field(None, description="road network for the model road")
    planar_metres_per_minute: int = Field(320, ge=1, description="speed for the model planar")
    params_file: Path | None = Field(None, description="JSON of EngineParams fields that differ from the defaults")

    trail_ttl_h: int = Field(24, ge=1, description="wall hours a trail stays in MongoDB, if nothing archives it")
    archive_url: str = Field("", description="cold storage that the trails process fills; empty: none")
